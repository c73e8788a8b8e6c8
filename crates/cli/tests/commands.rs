//! What people see: help, version and the record, word for word, with the way each command ends.
//!
//! `TRYCMD=overwrite` writes what was seen; read it before it is committed.

#[test]
fn commands_say_what_they_said_before() {
    let cases = trycmd::TestCases::new();
    cases.env("HOME", "/nonexistent").env("NO_COLOR", "1").env("LC_ALL", "C.UTF-8").env("TERM", "dumb");
    cases.case("tests/cmd/*.trycmd");
}
