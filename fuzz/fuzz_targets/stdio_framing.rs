//! Lines of a child process. Input: a byte that says how to cut, a byte that is the cap, then the stream. The same lines
//! whatever the cuts; nothing after an error. The file of the gateway is included: the gateway itself is not needed.
#![no_main]

#[path = "../../crates/gateway/src/upstream/stdio/framing.rs"]
#[expect(dead_code, reason = "the file is included whole; the target uses a part")]
mod framing;

use framing::{BadLine, Lines};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let [cut, cap, stream @ ..] = data else { return };
    for cap in [usize::from(*cap), 1 << 20] {
        let whole = read([stream], cap);
        for size in [1, usize::from(cut % 29) + 1] {
            let pieces = read(stream.chunks(size), cap);
            assert_eq!(pieces, whole, "pieces of {size}");
        }
        for line in &whole.0 {
            assert!(line.len() <= cap && !line.contains('\n'));
        }
        if cap == 1 << 20 && stream.len() < cap {
            let mut complete: Vec<&[u8]> = stream.split(|byte| *byte == b'\n').collect();
            complete.pop();
            let text: Vec<String> = complete.iter().map_while(|line| String::from_utf8(line.to_vec()).ok()).collect();
            assert_eq!(whole.1.is_ok(), text.len() == complete.len());
            assert_eq!(whole.0, text);
        }
    }
});

fn read<'a>(pieces: impl IntoIterator<Item = &'a [u8]>, cap: usize) -> (Vec<String>, Result<(), BadLine>) {
    let mut lines = Lines::new(cap);
    let mut found = Vec::new();
    for piece in pieces {
        lines.space().extend_from_slice(piece);
        loop {
            match lines.next_line() {
                Ok(Some(line)) => found.push(String::from_utf8(line.to_vec()).expect("text")),
                Ok(None) => break,
                Err(bad) => {
                    for _ in 0..3 {
                        assert!(!matches!(lines.next_line(), Ok(Some(_))), "a line after an error");
                    }
                    return (found, Err(bad));
                }
            }
        }
    }
    (found, Ok(()))
}
