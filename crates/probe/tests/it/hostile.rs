//! What is asked attacks the auditor: it ends within its limits, goes nowhere else, and draws on nothing.

use crate::{all_forms, report, request};
use doorward_probe::Limits;
use doorward_scan::Color;
use doorward_testkit::flawed::hostile::{Hostility, serve};
use std::time::Duration;

/// Those that let their askers wait.
const SLOW: [Hostility; 2] = [Hostility::Drip, Hostility::Silence];

#[tokio::test]
async fn scn_02_no_server_harms_who_asks_it() {
    let fast: Vec<Hostility> = Hostility::ALL.into_iter().filter(|hostility| !SLOW.contains(hostility)).collect();
    each(&fast).await;
}

/// Time is that of the runtime, which passes when everybody waits.
#[tokio::test(start_paused = true)]
async fn scn_02_no_server_lets_who_asks_it_wait_for_long() {
    each(&SLOW).await;
}

async fn each(hostilities: &[Hostility]) {
    for hostility in hostilities.iter().copied() {
        let server = serve(hostility).await.expect("a server");
        let mut request = request(&[server.url()]);
        request.limits = Limits { bytes: 64 * 1024, all_bytes: 4 << 20, samples: 16, guesses: 1000, ..Limits::default() };
        let before = tokio::time::Instant::now();
        let report = report(&request).await;
        let took = tokio::time::Instant::now() - before;
        assert!(took <= request.limits.all + Duration::from_secs(1), "{hostility:?}: {took:?}");
        assert_eq!(server.trapped(), 0, "{hostility:?}: the auditor went where it was led");
        let text = report.text(200, Color::Plain);
        let json = report.json();
        let requests = json["summary"]["asked"][0]["requests"].as_u64().expect("a number");
        assert!(requests <= 700, "{hostility:?}: {requests}");
        assert_eq!(json["summary"]["asked"][0]["addresses"].as_array().map(Vec::len), Some(1), "{hostility:?}: {text}");
        let all = all_forms(&report);
        let raw = |c: char| (c.is_control() && c != '\n') || matches!(c, '\u{200b}' | '\u{202e}');
        assert!(!all.contains(raw), "{hostility:?}: a report draws");
        assert!(!report.html().contains("<script"), "{hostility:?}: a report is a page of somebody else");
        let heard = match hostility {
            Hostility::Drawing => "DW201",
            Hostility::Elsewhere => "it was not asked",
            Hostility::Silence => "did not answer in time",
            Hostility::Drip => "let too many questions wait",
            Hostility::Redirect => "status 307",
            Hostility::Noise | Hostility::EndlessHead => "broke off",
            Hostility::EndlessPages => "DW101",
            Hostility::EndlessBody | Hostility::EndlessStream | Hostility::DeepJson => "does not answer like an MCP server",
        };
        assert!(text.contains(heard), "{hostility:?}: {text}");
        if !matches!(hostility, Hostility::Drawing | Hostility::EndlessPages | Hostility::Elsewhere) {
            assert!(report.unread() > 0, "{hostility:?}: a gate that could not ask must not pass");
        }
    }
}
