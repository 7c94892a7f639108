//! The protocol of a push, by its `Content-Type` alone, as in Mimir (its `pkg/distributor/push.go`). Mimir does not use a
//! media type parser: it splits parameters at `;` and at every `=`, and trims nothing.

use crate::Protocol;

const MEDIA_TYPE: &[u8] = b"application/x-protobuf";

/// The protocol that the `Content-Type` of a push names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ContentType {
    /// Mimir reads the body as this protocol.
    Known(Protocol),
    /// Mimir answers 400 and still ingests the body as remote write 1.0: charge and forward it.
    Unknown,
}

/// The protocol by Mimir's rules; `None` is an absent header.
///
/// Anything but `application/x-protobuf` is remote write 1.0, and so is `application/x-protobuf` without a parameter `proto`.
/// A parameter without `=` or with two of them, or a `proto` that names neither message, is [`ContentType::Unknown`]. The
/// first decisive parameter wins.
pub fn content_type(value: Option<&[u8]>) -> ContentType {
    match deciding(value.unwrap_or_default()) {
        None => ContentType::Known(Protocol::V1),
        Some(Parameter::Protocol(protocol)) => ContentType::Known(protocol),
        Some(Parameter::OtherProtocol | Parameter::Malformed(_)) => ContentType::Unknown,
    }
}

/// Mimir's text for a content type that is [`ContentType::Unknown`], without the final newline. Mimir writes it with status 400
/// and then handles the push: if that fails too, only its text is appended to the response.
pub fn content_type_fault(value: Option<&[u8]>) -> Option<String> {
    let value = value?;
    let shown = String::from_utf8_lossy(value);
    match deciding(value)? {
        Parameter::Protocol(_) => None,
        Parameter::OtherProtocol => Some(format!(
            "got {shown} content type; expected prometheus.WriteRequest or io.prometheus.write.v2.Request"
        )),
        Parameter::Malformed(parameter) => Some(format!(
            "as per https://www.rfc-editor.org/rfc/rfc9110#parameter expected parameters to be key-values, got {} in {shown} \
             content-type",
            String::from_utf8_lossy(parameter)
        )),
    }
}

/// A decisive parameter.
enum Parameter<'v> {
    Protocol(Protocol),
    OtherProtocol,
    Malformed(&'v [u8]),
}

/// The first decisive parameter.
fn deciding(value: &[u8]) -> Option<Parameter<'_>> {
    let mut parts = value.split(|byte| *byte == b';');
    if parts.next() != Some(MEDIA_TYPE) {
        return None;
    }
    parts.find_map(decide)
}

/// A parameter, if it is decisive.
fn decide(parameter: &[u8]) -> Option<Parameter<'_>> {
    let mut halves = parameter.split(|byte| *byte == b'=');
    match (halves.next(), halves.next(), halves.next()) {
        (_, None, _) | (_, _, Some(_)) => Some(Parameter::Malformed(parameter)),
        (Some(b"proto"), Some(b"prometheus.WriteRequest"), None) => Some(Parameter::Protocol(Protocol::V1)),
        (Some(b"proto"), Some(b"io.prometheus.write.v2.Request"), None) => Some(Parameter::Protocol(Protocol::V2)),
        (Some(b"proto"), Some(_), None) => Some(Parameter::OtherProtocol),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(value: Option<&str>, expected: ContentType) {
        assert_eq!(content_type(value.map(str::as_bytes)), expected, "{value:?}");
    }

    #[test]
    fn follows_mimirs_rules() {
        let v1 = ContentType::Known(Protocol::V1);
        let v2 = ContentType::Known(Protocol::V2);
        check(None, v1);
        check(Some(""), v1);
        check(Some("application/json"), v1);
        check(Some("text/plain; charset=utf-8"), v1);
        check(Some("application/x-protobuf"), v1);
        check(Some("Application/X-Protobuf;proto=io.prometheus.write.v2.Request"), v1);
        check(Some("application/x-protobuf ;proto=io.prometheus.write.v2.Request"), v1);
        check(Some("application/x-protobuf;proto=prometheus.WriteRequest"), v1);
        check(Some("application/x-protobuf;proto=io.prometheus.write.v2.Request"), v2);
        check(Some("application/x-protobuf;charset=utf-8;proto=io.prometheus.write.v2.Request"), v2);
        check(Some("application/x-protobuf; proto=io.prometheus.write.v2.Request"), v1);
        check(Some("application/x-protobuf;Proto=io.prometheus.write.v2.Request"), v1);
        check(Some("application/x-protobuf;=io.prometheus.write.v2.Request"), v1);
    }

    #[test]
    fn does_not_know_what_mimir_answers_with_400() {
        let unknown = ContentType::Unknown;
        check(Some("application/x-protobuf;proto=other.Thing"), unknown);
        check(Some("application/x-protobuf;proto="), unknown);
        check(Some("application/x-protobuf;proto=io.prometheus.write.v2.Request "), unknown);
        check(Some("application/x-protobuf;proto=prometheus.WriteRequest=x"), unknown);
        check(Some("application/x-protobuf;proto"), unknown);
        check(Some("application/x-protobuf;"), unknown);
        check(Some("application/x-protobuf;a=b=c"), unknown);
        check(Some("application/x-protobuf;a=b=;proto=io.prometheus.write.v2.Request"), unknown);
    }

    #[test]
    fn the_first_deciding_parameter_wins() {
        let v2 = ContentType::Known(Protocol::V2);
        check(Some("application/x-protobuf;proto=io.prometheus.write.v2.Request;junk"), v2);
        check(Some("application/x-protobuf;junk;proto=io.prometheus.write.v2.Request"), ContentType::Unknown);
    }

    #[test]
    fn says_what_mimir_says_about_what_it_does_not_know() {
        let fault = |value: &str| content_type_fault(Some(value.as_bytes()));
        for known in [
            "",
            "text/plain;junk",
            "application/x-protobuf",
            "application/x-protobuf;proto=prometheus.WriteRequest;junk",
        ] {
            assert_eq!(fault(known), None, "{known}");
        }
        assert_eq!(content_type_fault(None), None);
        assert_eq!(
            fault("application/x-protobuf;proto=x").as_deref(),
            Some(
                "got application/x-protobuf;proto=x content type; expected prometheus.WriteRequest or io.prometheus.write.v2.Request"
            )
        );
        assert_eq!(
            fault("application/x-protobuf;a=b=c").as_deref(),
            Some(
                "as per https://www.rfc-editor.org/rfc/rfc9110#parameter expected parameters to be key-values, got a=b=c in \
                 application/x-protobuf;a=b=c content-type"
            )
        );
    }
}
