use super::*;

fn printed(paths: &[&str], quiet: bool) -> (Outcome, String, String) {
    let loaded = rules::load(&paths.iter().map(PathBuf::from).collect::<Vec<_>>());
    let (mut out, mut err) = (anstream::StripStream::new(Vec::new()), Vec::new());
    print(&loaded, quiet, false, &mut out, &mut err).expect("written");
    let text = |bytes| String::from_utf8(bytes).expect("text");
    (outcome(&loaded), text(out.into_inner()), text(err))
}

#[test]
fn the_shipped_policies_are_good_and_explained() {
    let (outcome, out, err) = printed(&["rules"], false);
    assert_eq!((outcome, err.as_str()), (Outcome::Good, ""));
    insta::assert_snapshot!(out);
}

#[test]
fn what_cannot_be_read_is_told_from_what_is_wrong() {
    let (outcome, _, err) = printed(&["rules/no-such-file.yaml"], true);
    assert_eq!(outcome, Outcome::Unreadable);
    assert_eq!(err, "error: cannot read `rules/no-such-file.yaml`: it does not exist\n");

    let empty = tempfile::tempdir().expect("a directory");
    let (outcome, _, err) = printed(&[empty.path().to_str().expect("text")], true);
    assert_eq!(outcome, Outcome::Unreadable);
    assert!(err.contains("no policy was found"), "{err}");

    let faulty = empty.path().join("a.yaml");
    std::fs::write(&faulty, "policy: a\n").expect("written");
    let (outcome, _, err) = printed(&[faulty.to_str().expect("text")], true);
    assert_eq!(outcome, Outcome::Faulty);
    assert!(err.contains("the key `for` is missing"), "{err}");
}

#[test]
fn programs_get_the_findings_as_json() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("a.yaml");
    std::fs::write(
        &file,
        "policy: a\nfor: {}\nstrategy: { canary: { steps: [5%] } }\nhealth: [{ http: /h }]\n",
    )
    .expect("written");
    let json = as_json(&rules::load(&[file]));
    assert_eq!(json["ok"], false);
    let findings = &json["files"][0]["findings"];
    assert_eq!((&findings[0]["severity"], &findings[0]["line"]), (&json!("warning"), &json!(1)));
    assert_eq!((&findings[1]["severity"], &findings[1]["line"]), (&json!("error"), &json!(2)));
    assert_eq!(findings[1]["message"], "this selects no app");
}

#[derive(clap::Parser)]
struct Command {
    #[command(flatten)]
    args: Args,
}

const DEMANDING: &str = r#"policy: demanding
for: { apps: ["*"] }
strategy:
  canary:
    steps: [5%, 50%]
    bake: { at_least: 5m, at_most: 30m }
signals:
  - use: http-errors
    critical: true
    prove_within: +20%
  - name: declined
    ratio: { events: declined_total, total: payments_total }
    limit: 0.5%
  - { use: memory, gates: true }
"#;

/// What is found in a policy at a traffic.
fn found(text: &str, flags: &[&str]) -> String {
    let line = ["check", "a.yaml"].into_iter().chain(flags.iter().copied());
    let Command { args } = <Command as clap::Parser>::try_parse_from(line).expect("flags");
    let mut reading = crate::policy::read("a.yaml", text);
    hold_against(&mut reading, &args.traffic, None).expect("a plan");
    reading.findings.render(false)
}

#[test]
fn what_the_traffic_cannot_show_is_told_where_it_is_promised() {
    insta::assert_snapshot!("cannot_show", found(DEMANDING, &["--rps", "0.5", "--error-rate", "1%"]));
    let enough = found(
        &DEMANDING.replace("limit: 0.5%", "margin: +20%"),
        &["--rps", "2000", "--error-rate", "1%", "--gauge-noise", "2%"],
    );
    assert_eq!(enough, "");
}

#[test]
fn what_no_traffic_can_show_is_told_without_any() {
    let hopeless = DEMANDING
        .replace("at_least: 5m, at_most: 30m", "at_least: 30s, at_most: 90s")
        .replace("limit: 0.5%", "floor: 30%\n    min_events: 5000")
        .replace("prove_within: +20%", "prove_within: +5%");
    insta::assert_snapshot!("hopeless", found(&hopeless, &[]).replace("demanding", "hopeless"));
}
