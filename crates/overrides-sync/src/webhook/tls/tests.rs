use std::fs;

use tempfile::TempDir;

use super::*;

struct Made {
    cert: String,
    key: String,
}

fn pair() -> anyhow::Result<Made> {
    let made = rcgen::generate_simple_self_signed(["overrides-sync".to_owned()])?;
    Ok(Made { cert: made.cert.pem(), key: made.signing_key.serialize_pem() })
}

fn files(folder: &TempDir, Made { cert, key }: &Made) -> anyhow::Result<TlsFiles> {
    let files = TlsFiles { cert: folder.path().join("tls.crt"), key: folder.path().join("tls.key") };
    fs::write(&files.cert, cert)?;
    fs::write(&files.key, key)?;
    Ok(files)
}

#[test]
fn an_unusable_certificate_or_key_is_named_in_the_error() -> anyhow::Result<()> {
    let (folder, first, second) = (tempfile::tempdir()?, pair()?, pair()?);
    let mixed = Made { cert: first.cert.clone(), key: second.key };
    let junk = Made { cert: "junk".to_owned(), key: first.key.clone() };
    let no_key = Made { cert: first.cert.clone(), key: "junk".to_owned() };
    let large = Made { cert: "x".repeat(300_000), key: first.key.clone() };
    for (pair, expected) in [
        (mixed, "tls.key is not the key of"),
        (junk, "tls.crt holds no certificate in PEM"),
        (no_key, "tls.key is no private key in PEM"),
        (large, "tls.crt cannot be read: it has more than 262144 bytes"),
    ] {
        let error = Tls::load(files(&folder, &pair)?).err().map(|error| format!("{error:#}")).unwrap_or_default();
        assert!(error.contains(expected), "{error}");
    }
    let missing = TlsFiles { cert: folder.path().join("no.crt"), ..files(&folder, &first)? };
    let error = Tls::load(missing).err().map(|error| format!("{error:#}")).unwrap_or_default();
    assert!(error.contains("no.crt cannot be read: No such file"), "{error}");
    Ok(())
}

#[test]
fn a_new_pair_is_taken_once_both_halves_are_there() -> anyhow::Result<()> {
    let (folder, first, second, counts) =
        (tempfile::tempdir()?, pair()?, pair()?, IntCounter::new("bad_certificates", "test")?);
    let files = files(&folder, &first)?;
    let mut tls = Tls::load(files.clone())?;
    let mut acceptor = tls.acceptor();
    let mut look = |counts: &IntCounter| {
        tls.on_poll(read_pair(&files), counts);
        let changed = acceptor.has_changed().unwrap_or(false);
        acceptor.mark_unchanged();
        (changed, counts.get())
    };
    assert_eq!([look(&counts), look(&counts)], [(false, 0), (false, 0)]);
    fs::write(&files.cert, &second.cert)?;
    assert_eq!(look(&counts), (false, 0), "the other half may be on its way");
    fs::write(&files.key, &second.key)?;
    assert_eq!([look(&counts), look(&counts), look(&counts)], [(false, 0), (true, 0), (false, 0)]);
    fs::write(&files.key, &first.key)?;
    assert_eq!([look(&counts), look(&counts), look(&counts)], [(false, 0), (false, 1), (false, 1)]);
    fs::remove_file(&files.cert)?;
    assert_eq!([look(&counts), look(&counts), look(&counts)], [(false, 1), (false, 2), (false, 2)]);
    fs::write(&files.cert, &first.cert)?;
    assert_eq!([look(&counts), look(&counts)], [(false, 2), (true, 2)]);
    Ok(())
}
