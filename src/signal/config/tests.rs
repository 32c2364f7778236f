use super::*;

fn read(text: &str) -> Result<SourceConfig, String> {
    let config = config::Config::builder().add_source(config::File::from_str(text, config::FileFormat::Toml));
    let read = config.build().and_then(config::Config::try_deserialize);
    read.map_err(|error| error.to_string())
}

fn problem(text: &str) -> String {
    match read(text) {
        Ok(config) => config.open().map(|_| ()).unwrap_err().to_string(),
        Err(error) => error,
    }
}

#[test]
fn little_needs_to_be_said() {
    assert_eq!(read("kind = \"scrape\""), Ok(SourceConfig::Scrape(ScrapeConfig::default())));
    let Ok(SourceConfig::Prometheus(config)) =
        read("kind = \"prometheus\"\nurl = \"http://p:9090\"\nlabels = { app = \"tsuru_app\" }")
    else {
        panic!("it is a Prometheus")
    };
    assert_eq!(config.timeout, Span::seconds(10));
    let labels = ["tsuru_app", "version", "instance"];
    assert_eq!([&*config.labels.app, &*config.labels.version, &*config.labels.unit], labels);
    assert!(SourceConfig::Prometheus(config).open().is_ok());
}

#[test]
fn what_is_wrong_is_named() {
    let prometheus = |more: &str| problem(&format!("kind = \"prometheus\"\nurl = \"http://p:9090\"\n{more}"));
    let url = |url: &str| problem(&format!("kind = \"prometheus\"\nurl = \"{url}\""));
    let token = "bearer_token_file = \"t\"";
    for (said, what) in [
        (problem("kind = \"graphite\""), "unknown variant `graphite`"),
        (problem("kind = \"prometheus\""), "missing configuration field \"url\""),
        (problem("kind = \"scrape\"\npaht = \"/m\""), "unknown field `paht`"),
        (problem("kind = \"scrape\"\npath = \"metrics\""), "`path` is `metrics`; it must begin with `/`"),
        (problem("kind = \"scrape\"\ntimeout = \"0s\""), "`timeout` is 0s"),
        (problem("kind = \"scrape\"\ntimeout = \"5 s\""), "is not a duration"),
        (prometheus("timeout = \"2h\""), "at most 1m"),
        (url("prometheus:9090"), "it must begin with `http://`"),
        (url("not an address"), "`url` cannot be read"),
        (url("ftp://p"), "`http://` or `https://`"),
        (url("http://p/?x=1"), "without `?` and `#`"),
        (prometheus(&format!("{token}\nusername = \"u\"\npassword_file = \"p\"")), "only one of"),
        (prometheus("username = \"u\""), "`username` needs"),
        (prometheus("password_env = \"P\""), "`username` needs"),
        (
            prometheus("bearer_token_env = \"UGUISU_NO_SUCH_VARIABLE\""),
            "`UGUISU_NO_SUCH_VARIABLE` is not set",
        ),
        (prometheus("labels = { app = \"a-b\" }"), "`a-b` is no label's name"),
        (prometheus("labels = { app = \"version\" }"), "three different labels"),
        (prometheus("matchers = { app = \"x\" }"), "`matchers` cannot set `app`"),
        (prometheus("ca_file = \"/no/such/file\""), "cannot read the file `/no/such/file`"),
        (prometheus("headers = { \"a b\" = \"x\" }"), "`a b`, which is no HTTP header"),
    ] {
        assert!(said.contains(what), "{what}: {said}");
    }
}

#[test]
fn credentials_in_an_address_are_not_repeated() {
    let said = problem("kind = \"prometheus\"\nurl = \"http://user:s3cret@p:9090\"");
    assert!(said.contains("credentials") && !said.contains("s3cret"), "{said}");
}

#[test]
fn a_file_without_certificates_is_no_authority() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "hello\n").unwrap();
    let text = format!("kind = \"prometheus\"\nurl = \"https://p\"\nca_file = \"{}\"", file.path().display());
    assert!(problem(&text).contains("holds no certificate"), "{}", problem(&text));
}
