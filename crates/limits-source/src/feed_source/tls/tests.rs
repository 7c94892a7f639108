use std::fs;

use clap::{CommandFactory, FromArgMatches, Parser};

use super::*;
use crate::SourceSpec;

#[derive(Parser)]
struct Flags {
    #[command(flatten)]
    tls: FeedTlsFiles,
}

/// What is wrong with these flags for this source; `DIR` stands for a folder with a certificate, its key, the key of another one, and junk.
fn why(limits: &str, flags: &[&str]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    for (cert, key) in [("tls.crt", "tls.key"), ("other.crt", "other.key")] {
        let made = rcgen::generate_simple_self_signed(["overrides-sync".to_owned()]).unwrap();
        write(cert, &made.cert.pem());
        write(key, &made.signing_key.serialize_pem());
    }
    write("junk", "junk");
    let directory = folder.path().display().to_string();
    let flags = flags.iter().map(|flag| flag.replace("DIR", &directory));
    let matches = Flags::command().try_get_matches_from(std::iter::once("test".to_owned()).chain(flags)).unwrap();
    let mut source: SourceSpec = limits.parse().unwrap();
    let used = source.use_feed_tls(Flags::from_arg_matches(&matches).unwrap().tls);
    used.err().map(|error| error.to_string().replace(&directory, "DIR")).unwrap_or_default()
}

#[test]
fn an_unusable_file_is_an_error_with_flag_and_fix() {
    const HTTPS: &str = "feed:https://a:1";
    let ca = "--feed-tls-ca=DIR/tls.crt";
    for (limits, flags, expected) in [
        (HTTPS, vec![ca], ""),
        (HTTPS, vec![ca, "--feed-tls-cert=DIR/tls.crt", "--feed-tls-key=DIR/tls.key"], ""),
        ("feed:http://a:1,https://b:1", vec![ca], ""),
        ("feed:http://a:1", vec![], ""),
        ("file:x", vec![], ""),
        ("feed:http://a:1", vec![ca], "--feed-tls-ca is for a feed with https; write --limits feed:https://"),
        ("file:x", vec!["--feed-tls-key=DIR/tls.key"], "--feed-tls-key is for a feed with https"),
        (HTTPS, vec!["--feed-tls-ca=DIR/none"], "--feed-tls-ca DIR/none cannot be read: No such file"),
        (HTTPS, vec!["--feed-tls-ca=DIR/junk"], "--feed-tls-ca DIR/junk holds no certificate in PEM"),
        (HTTPS, vec![ca, "--feed-tls-cert=DIR/tls.crt"], "--feed-tls-cert and --feed-tls-key belong together"),
        (HTTPS, vec![ca, "--feed-tls-key=DIR/tls.key"], "--feed-tls-cert and --feed-tls-key belong together"),
        (
            HTTPS,
            vec![ca, "--feed-tls-cert=DIR/tls.crt", "--feed-tls-key=DIR/junk"],
            "--feed-tls-key DIR/junk is no private key in PEM",
        ),
        (
            HTTPS,
            vec![ca, "--feed-tls-cert=DIR/tls.crt", "--feed-tls-key=DIR/other.key"],
            "--feed-tls-key is not the key of --feed-tls-cert",
        ),
    ] {
        let error = why(limits, &flags);
        assert_eq!(error.is_empty(), expected.is_empty(), "{limits} {flags:?}: {error}");
        assert!(error.contains(expected), "{limits} {flags:?}: {error}");
        assert!(!error.contains("PRIVATE"), "{error}");
    }
}

#[test]
fn missing_roots_name_the_flag_that_gives_some() {
    let error = FeedTlsError::NoRoots(io::Error::other("no root certificates on this system")).to_string();
    assert!(error.contains("--limits has a feed with https") && error.contains("--feed-tls-ca FILE"), "{error}");
}
