//! When a certificate expires, read from its DER. rustls keeps that to itself.
//!
//! Only the way to the field is read (RFC 5280, 4.1), and nothing is verified: rustls does that.

use std::time::UNIX_EPOCH;

const SEQUENCE: u8 = 0x30;
const INTEGER: u8 = 0x02;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
/// The version's tag, which a certificate of version 1 lacks.
const VERSION: u8 = 0xa0;

/// `notAfter` as Unix time in seconds; `None`: the bytes are no certificate, or it expired before 1970.
pub(super) fn of(certificate: &[u8]) -> Option<i64> {
    let (certificate, _) = element(certificate, SEQUENCE)?;
    let (fields, _) = element(certificate, SEQUENCE)?;
    let fields = element(fields, VERSION).map_or(fields, |(_, rest)| rest);
    let (_serial_number, fields) = element(fields, INTEGER)?;
    let (_signature, fields) = element(fields, SEQUENCE)?;
    let (_issuer, fields) = element(fields, SEQUENCE)?;
    let (validity, _) = element(fields, SEQUENCE)?;
    let (_tag, _not_before, rest) = any_element(validity)?;
    let (tag, not_after, _) = any_element(rest)?;
    unix_time(tag, std::str::from_utf8(not_after).ok()?)
}

/// The content of the first element if it has this tag, and what follows it.
fn element(bytes: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (found, content, rest) = any_element(bytes)?;
    (found == tag).then_some((content, rest))
}

/// Tag and content of the first element, and what follows it.
fn any_element(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&[tag, length], rest) = bytes.split_first_chunk()?;
    let (length, rest) = match length {
        0..=0x7f => (usize::from(length), rest),
        0x81..=0x84 => {
            let (digits, rest) = rest.split_at_checked(usize::from(length & 0x7f))?;
            (digits.iter().fold(0, |sum, digit| (sum << 8) | usize::from(*digit)), rest)
        }
        _ => return None,
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some((tag, content, rest))
}

/// `YYMMDDhhmmssZ` with a year from 1950 to 2049, or `YYYYMMDDhhmmssZ`.
fn unix_time(tag: u8, text: &str) -> Option<i64> {
    let century = match tag {
        UTC_TIME if text < "5" => "20",
        UTC_TIME => "19",
        GENERALIZED_TIME => "",
        _ => return None,
    };
    let digits = format!("{century}{}", text.strip_suffix('Z')?);
    let part = |from: usize, to: usize| digits.get(from..to);
    let (year, month, day) = (part(0, 4)?, part(4, 6)?, part(6, 8)?);
    let (hour, minute, second) = (part(8, 10)?, part(10, 12)?, part(12, 14)?);
    let time = humantime::parse_rfc3339(&format!("{year}-{month}-{day}T{hour}:{minute}:{second}Z")).ok()?;
    i64::try_from(time.duration_since(UNIX_EPOCH).ok()?.as_secs()).ok()
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair, date_time_ymd};

    use super::*;

    #[test]
    fn not_after_is_that_of_the_certificate() -> anyhow::Result<()> {
        let key = KeyPair::generate()?;
        for (year, month, day, expected) in [
            (1999, 12, 31, 946_598_400),
            (2026, 3, 1, 1_772_323_200),
            (2049, 12, 31, 2_524_521_600),
            // From 2050 on it is a GeneralizedTime.
            (2050, 1, 1, 2_524_608_000),
            (4096, 1, 1, 67_090_118_400),
        ] {
            // Many names make the lengths of several bytes.
            for names in [1, 40, 8000] {
                let mut params =
                    CertificateParams::new((0..names).map(|name| format!("host-{name}")).collect::<Vec<_>>())?;
                params.not_after = date_time_ymd(year, month, day);
                let certificate = params.self_signed(&key)?;
                assert_eq!(of(certificate.der()), Some(expected), "{year}-{month}-{day} with {names} names");
            }
        }
        Ok(())
    }

    #[test]
    fn damaged_certificates_have_no_date() -> anyhow::Result<()> {
        let certificate = CertificateParams::new(["host".to_owned()])?.self_signed(&KeyPair::generate()?)?;
        let whole = certificate.der();
        assert!(of(whole).is_some());
        for length in 0..whole.len() {
            assert_eq!(of(whole.get(..length).unwrap_or_default()), None, "{length} bytes");
        }
        for junk in [&[0x30, 0x80][..], &[0x30, 0x85, 1, 1, 1, 1, 1], &[0x30, 0x84, 0xff, 0xff, 0xff, 0xff]] {
            assert_eq!(of(junk), None, "{junk:x?}");
        }
        for (tag, text) in [
            (UTC_TIME, "260301000000"),
            (UTC_TIME, "261301000000Z"),
            (UTC_TIME, "2603010000Z"),
            (UTC_TIME, "690101000000Z"),
            (GENERALIZED_TIME, "260301000000Z"),
            (INTEGER, "260301000000Z"),
        ] {
            assert_eq!(unix_time(tag, text), None, "{text}");
        }
        Ok(())
    }
}
