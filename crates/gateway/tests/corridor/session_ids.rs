//! SES-01: session ids are random, and nowhere kept.

use super::house::{House, server};
use super::speak::initialize;
use super::wire::Line;
use doorward_testkit::lax::Lax;
use doorward_testkit::lax::quirk::Behaviour;
use serde_json::json;

fn count(name: &str, otherwise: usize) -> usize {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise)
}

/// Ids of sessions that four clients of two users open at once, a row for each client.
async fn many_ids(house: &House, all: usize) -> Vec<Vec<String>> {
    let users = [house.full("alice").await, house.full("bob").await];
    let mut working = Vec::new();
    for worker in 0..4 {
        let ask = initialize(&users[worker % 2], "alpha", "2025-11-25", json!({}));
        let address = house.address;
        working.push(tokio::spawn(async move {
            let mut line = Line::open(address).await;
            let mut ids = Vec::new();
            for _ in 0..all / 4 {
                ids.push(line.ask(&ask).await.field("mcp-session-id").expect("a session").to_owned());
            }
            ids
        }));
    }
    let mut ids = Vec::new();
    for work in working {
        ids.push(work.await.unwrap());
    }
    ids
}

/// Seven standard deviations from half of `n`: one false alarm in 390 billion, and there are fifty thousand questions.
#[expect(clippy::cast_precision_loss, reason = "small counts")]
pub(crate) fn is_far(count: usize, n: usize) -> bool {
    (count as f64 - n as f64 / 2.0).abs() > 7.0 * (n as f64 / 4.0).sqrt()
}

/// How many bits of two rows of ids differ, pair by pair, and of how many.
fn differing<'a>(one: impl Iterator<Item = &'a Vec<u8>>, two: impl Iterator<Item = &'a Vec<u8>>) -> (usize, usize) {
    let mut sum = (0, 0);
    for (a, b) in one.zip(two) {
        sum.0 += a.iter().zip(b).map(|(a, b)| (a ^ b).count_ones() as usize).sum::<usize>();
        sum.1 += a.len() * 8;
    }
    sum
}

fn bit(id: &[u8], at: usize) -> bool {
    id[at / 8] >> (at % 8) & 1 == 1
}

/// What a generator with a fault in it would show: a bit that leans, a byte that is favoured, runs, bits that follow the clock or
/// the one before, beginnings in common.
#[expect(clippy::cast_precision_loss, reason = "small counts")]
fn look_random(row: &[Vec<u8>]) {
    let n = row.len();
    for at in 0..256 {
        assert!(!is_far(row.iter().filter(|id| bit(id, at)).count(), n), "bit {at} is as often set as not");
        let turns = row.windows(2).filter(|pair| bit(&pair[0], at) != bit(&pair[1], at)).count();
        assert!(!is_far(turns, n - 1), "bit {at} does not follow the id before");
        // With a clock in it, early and late ids differ: the halves of the run are alike.
        let early = row[..n / 2].iter().filter(|id| bit(id, at)).count();
        assert!(!is_far(early, n / 2), "bit {at} does not follow the time");
    }
    let stream: Vec<u8> = row.concat();
    let bits: Vec<bool> = stream.iter().flat_map(|byte| (0..8).map(move |at| byte >> at & 1 == 1)).collect();
    for lag in [1, 2, 7, 8, 16, 31, 32, 64, 128, 255] {
        let turns = bits.iter().zip(&bits[lag..]).filter(|(a, b)| a != b).count();
        assert!(!is_far(turns, bits.len() - lag), "bits that are {lag} apart know nothing of each other");
    }
    let mut counts = [0_usize; 256];
    stream.iter().for_each(|byte| counts[usize::from(*byte)] += 1);
    let expected = stream.len() as f64 / 256.0;
    let chi: f64 = counts.iter().map(|count| (*count as f64 - expected).powi(2) / expected).sum();
    // 255 degrees of freedom: mean 255, deviation 22.6. Too even is as suspicious as too uneven.
    assert!((120.0..392.0).contains(&chi), "no byte is favoured: {chi}");
    let rising = row.windows(2).filter(|pair| pair[0] < pair[1]).count();
    assert!(!is_far(rising, n - 1), "ids do not rise with time");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ses_01_ids_are_random_and_nowhere_kept() {
    let lax = Lax::start(Behaviour::plain()).await.unwrap();
    let limits = "[limits]\nper_user = \"60000000/m\"\nsessions = 40000\nsessions_per_user = 20000\n";
    let open = || House::open(format!("{}{limits}", server("alpha", &lax.url(), "")).leak());
    let (house, other) = (open().await, open().await);
    let all = count("DOORWARD_TEST_SESSIONS", 1_000);
    // Two gateways at the same time.
    let (ids, ids_there) = tokio::join!(many_ids(&house, all), many_ids(&other, all));
    let flat: Vec<&String> = ids.iter().chain(&ids_there).flatten().collect();
    use base64::Engine as _;
    let decode = |id: &String| {
        assert!(id.bytes().all(|byte| (0x21..=0x7e).contains(&byte)), "{id}");
        let bytes = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(id).expect("base64url");
        assert_eq!(bytes.len(), 32, "256 bits");
        bytes
    };
    let rows: Vec<Vec<Vec<u8>>> = ids.iter().chain(&ids_there).map(|row| row.iter().map(decode).collect()).collect();
    for row in &rows {
        look_random(row);
    }
    for (of, gateway) in [("here", &rows[..4]), ("there", &rows[4..])] {
        look_random(&gateway.concat());
        let (alike, n) = differing(gateway[0].iter(), gateway[1].iter());
        assert!(!is_far(alike, n), "{of}: ids of two users at one time have nothing in common");
        let (alike, n) = differing(gateway[0].iter(), gateway[2].iter());
        assert!(!is_far(alike, n), "{of}: nor have those of one");
    }
    let together: Vec<Vec<u8>> = rows.concat();
    for one in 0..256 {
        let of_one: Vec<bool> = together.iter().map(|id| bit(id, one)).collect();
        for other in one + 1..256 {
            let unlike = together.iter().zip(&of_one).filter(|(id, of_one)| bit(id, other) != **of_one).count();
            assert!(!is_far(unlike, together.len()), "bit {other} does not follow bit {one}");
        }
    }
    let (alike, n) = differing(rows[..4].iter().flatten(), rows[4..].iter().flatten());
    assert!(!is_far(alike, n), "nor those of two gateways");
    let mut sorted: Vec<&Vec<u8>> = rows.iter().flatten().collect();
    sorted.sort();
    let common = |a: &[u8], b: &[u8]| a.iter().zip(b).take_while(|(a, b)| a == b).count();
    let longest = sorted.windows(2).map(|pair| common(pair[0], pair[1])).max().unwrap();
    assert!(longest < 8, "no two begin alike, and none comes twice: {longest} bytes");
    let shown: Vec<&str> = flat.iter().take(50).map(|id| id.as_str()).collect();
    assert!(shown.iter().all(|id| !lax.saw(id)), "an id of ours is not the upstream's business");
    let last = (*flat.last().unwrap()).clone();
    let mut canaries = shown;
    canaries.push(&last);
    house.close(&canaries).await;
    other.close(&canaries).await;
}
