use std::fs;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::*;
use crate::testing::{Authority, Pem, until};

fn files(folder: &Path, Pem { cert, key }: &Pem, client_ca: Option<&str>) -> anyhow::Result<TlsFiles> {
    let client_ca_path = client_ca.map(|_| folder.join("ca.crt"));
    let files = TlsFiles { cert: folder.join("tls.crt"), key: folder.join("tls.key"), client_ca: client_ca_path };
    fs::write(&files.cert, cert)?;
    fs::write(&files.key, key)?;
    if let (Some(path), Some(text)) = (&files.client_ca, client_ca) {
        fs::write(path, text)?;
    }
    Ok(files)
}

fn metrics() -> anyhow::Result<TlsMetrics> {
    Ok(TlsMetrics { bad: IntCounter::new("bad", "bad")?, not_after: IntGauge::new("not_after", "not_after")? })
}

fn load(files: TlsFiles) -> anyhow::Result<Tls> {
    Tls::load("the certificate", files, Protocol::Http2, metrics()?)
}

#[test]
fn an_unusable_file_is_named_in_the_error() -> anyhow::Result<()> {
    let (folder, authority) = (tempfile::tempdir()?, Authority::new()?);
    let (first, second) = (authority.issue("edge")?, authority.issue("edge")?);
    let of = |cert: &str, key: &str| Pem { cert: cert.to_owned(), key: key.to_owned() };
    let large = "x".repeat(1_100_000);
    for (pair, client_ca, expected) in [
        (of(&first.cert, &second.key), None, "tls.key is not the key of"),
        (of("junk", &first.key), None, "tls.crt holds no certificate in PEM"),
        (of(&first.cert, "junk"), None, "tls.key is no private key in PEM"),
        (of(&large, &first.key), None, "tls.crt cannot be read: it has more than 1048576 bytes"),
        (of(&first.cert, &first.key), Some("junk"), "ca.crt holds no certificate in PEM"),
    ] {
        let error = load(files(folder.path(), &pair, client_ca)?).err();
        let error = error.map(|error| format!("{error:#}")).unwrap_or_default();
        assert!(error.contains(expected), "{expected}: {error}");
        assert!(!error.contains("PRIVATE KEY"), "{error}");
    }
    let missing = TlsFiles { cert: folder.path().join("no.crt"), ..files(folder.path(), &first, None)? };
    let error = load(missing).err().map(|error| format!("{error:#}")).unwrap_or_default();
    assert!(error.contains("no.crt cannot be read: No such file"), "{error}");
    Ok(())
}

#[test]
fn the_chains_first_expiry_is_shown() -> anyhow::Result<()> {
    let (folder, authority) = (tempfile::tempdir()?, Authority::new()?);
    let (long, short) = (authority.issue("edge")?, authority.issue_expired("edge")?);
    let chain = Pem { cert: format!("{}{}", long.cert, short.cert), key: long.key.clone() };
    let metrics = metrics()?;
    let files = files(folder.path(), &chain, None)?;
    Tls::load("the certificate", files.clone(), Protocol::Http2, metrics.clone())?;
    // 2001-01-01.
    assert_eq!(metrics.not_after.get(), 978_307_200);
    fs::write(&files.cert, long.cert)?;
    Tls::load("the certificate", files, Protocol::Http2, metrics.clone())?;
    assert!(metrics.not_after.get() > 2_000_000_000, "{}", metrics.not_after.get());
    Ok(())
}

/// A certificate whose date of expiry is in month 13.
fn with_unreadable_date(authority: &Authority) -> anyhow::Result<Pem> {
    let Pem { cert, key } = authority.issue_expired("edge")?;
    let mut der = CertificateDer::from_pem_slice(cert.as_bytes())?.to_vec();
    let date = b"\x17\x0d010101000000Z";
    let not_after = der.windows(date.len()).position(|bytes| bytes == date).context("it has this date")?;
    // The tag, the length and the year.
    der[not_after + 4..not_after + 6].copy_from_slice(b"13");
    let cert = format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", STANDARD.encode(der));
    Ok(Pem { cert, key })
}

#[test]
fn a_date_that_cannot_be_read_is_no_missing_certificate() -> anyhow::Result<()> {
    let (folder, authority) = (tempfile::tempdir()?, Authority::new()?);
    let (good, bad) = (authority.issue("edge")?, with_unreadable_date(&authority)?);
    let chain = Pem { cert: format!("{}{}", good.cert, bad.cert), key: good.key };
    for pair in [bad, chain] {
        let metrics = metrics()?;
        Tls::load("the certificate", files(folder.path(), &pair, None)?, Protocol::Http2, metrics.clone())?;
        assert_eq!(metrics.not_after.get(), -1);
    }
    Ok(())
}

#[tokio::test]
async fn the_expiry_of_a_clients_certificate_is_followed() -> anyhow::Result<()> {
    let (folder, authority) = (tempfile::tempdir()?, Authority::new()?);
    let (path, shown) = (folder.path().join("tls.crt"), metrics()?.not_after);
    let following = tokio::spawn(follow_expiry(path.clone(), shown.clone()));
    let becomes = async |expected: std::ops::Range<i64>| {
        until("the date is shown", async || Ok(expected.contains(&shown.get()))).await
    };
    becomes(-1..0).await?;
    fs::write(&path, authority.issue_expired("mimir-rls")?.cert)?;
    // 2001-01-01.
    becomes(978_307_200..978_307_201).await?;
    fs::write(&path, authority.issue("mimir-rls")?.cert)?;
    becomes(2_000_000_000..i64::MAX).await?;
    fs::write(&path, "junk")?;
    becomes(-1..0).await?;
    following.abort();
    Ok(())
}

#[test]
fn nothing_secret_is_in_its_debug_output() -> anyhow::Result<()> {
    let (folder, authority) = (tempfile::tempdir()?, Authority::new()?);
    let pair = authority.issue("edge")?;
    let shown = format!("{:?}", load(files(folder.path(), &pair, Some(&authority.ca()))?)?);
    assert!(shown.contains("tls.key") && !shown.contains("PRIVATE"), "{shown}");
    Ok(())
}
