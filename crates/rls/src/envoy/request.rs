//! From Envoy's `CheckRequest` to a [`Push`].

use bytes::Bytes;
use edge::{Push, PushBody};
use proto::envoy::config::core::v3::HeaderValue;
use proto::envoy::service::auth::v3::CheckRequest;
use proto::envoy::service::auth::v3::attribute_context::HttpRequest;

const CONTENT_LENGTH: &str = "content-length";
/// Set by Envoy whenever it buffered a body; a client that sends it too can only get its own push denied.
const PARTIAL_BODY: &str = "x-envoy-auth-partial-body";
/// The context extension of a route whose ext_authz filter sends no bodies.
const BODY_EXTENSION: (&str, &str) = ("body", "withheld");

/// A push without a tenant is one of the default tenant, if there is one.
pub(crate) fn push_from(request: CheckRequest, default_tenant: Option<&Bytes>) -> Push {
    let attributes = request.attributes.unwrap_or_default();
    let (name, value) = BODY_EXTENSION;
    let not_sent = attributes.context_extensions.get(name).is_some_and(|set| set == value);
    let mut http = attributes.request.and_then(|request| request.http).unwrap_or_default();
    let body = std::mem::take(&mut http.raw_body);
    let headers = Headers::of(http);
    let body = if not_sent {
        PushBody::NotSent { bytes: headers.content_length() }
    } else if headers.all(PARTIAL_BODY).any(|value| value == "true") {
        PushBody::Partial
    } else {
        PushBody::Whole(body)
    };
    Push::from_headers(|name| headers.all(name).cloned(), default_tenant, body)
}

/// The first value of a header of the push; its name is in lower case.
pub(crate) fn header_of<'r>(request: &'r CheckRequest, name: &str) -> Option<&'r [u8]> {
    let http = request.attributes.as_ref()?.request.as_ref()?.http.as_ref()?;
    let value = match &http.header_map {
        Some(lines) => value_of(lines.headers.iter().find(|line| line.key == name)?),
        None => http.headers.get(name)?,
    };
    Some(value)
}

/// The headers of a request: one line each where Envoy runs with `encode_raw_headers`, joined values otherwise.
struct Headers {
    lines: Vec<HeaderValue>,
}

impl Headers {
    fn of(http: HttpRequest) -> Self {
        let joined = http.headers.into_iter().map(|(key, value)| HeaderValue { key, value, raw_value: Bytes::new() });
        Self { lines: http.header_map.map_or_else(|| joined.collect(), |map| map.headers) }
    }

    fn all(&self, name: &'static str) -> impl Iterator<Item = &Bytes> {
        self.lines.iter().filter(move |line| line.key == name).map(value_of)
    }

    /// Envoy enforces it; a chunked body has none.
    fn content_length(&self) -> Option<usize> {
        std::str::from_utf8(self.all(CONTENT_LENGTH).next()?).ok()?.parse().ok()
    }
}

fn value_of(line: &HeaderValue) -> &Bytes {
    if line.raw_value.is_empty() { &line.value } else { &line.raw_value }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use edge::TenantHeader;
    use proto::envoy::config::core::v3::HeaderMap;
    use proto::envoy::service::auth::v3::AttributeContext;
    use proto::envoy::service::auth::v3::attribute_context::Request;

    use super::*;

    fn read(request: CheckRequest) -> Push {
        push_from(request, None)
    }

    fn raw(lines: &[(&str, &[u8])]) -> CheckRequest {
        let headers = lines.iter().map(|(key, value)| HeaderValue {
            key: (*key).to_owned(),
            value: Bytes::new(),
            raw_value: Bytes::copy_from_slice(value),
        });
        check(HttpRequest {
            header_map: Some(HeaderMap { headers: headers.collect() }),
            raw_body: Bytes::from_static(b"body"),
            ..HttpRequest::default()
        })
    }

    fn check(http: HttpRequest) -> CheckRequest {
        let request = Some(Request { http: Some(http) });
        CheckRequest { attributes: Some(AttributeContext { request, context_extensions: HashMap::new() }) }
    }

    #[test]
    fn an_empty_request_has_no_tenant() {
        let push = read(CheckRequest { attributes: None });
        assert_eq!(push.tenant, TenantHeader::Absent);
        assert_eq!(push.body, PushBody::Whole(Bytes::new()));
        let default = Bytes::from_static(b"anonymous");
        let push = push_from(CheckRequest { attributes: None }, Some(&default));
        assert_eq!(push.tenant, TenantHeader::Once(default));
    }

    #[test]
    fn raw_headers_keep_every_byte_and_every_line() {
        let once = read(raw(&[("x-scope-orgid", b"a\xff")]));
        assert_eq!(once.tenant, TenantHeader::Once(Bytes::from_static(b"a\xff")));
        let twice = read(raw(&[("x-scope-orgid", b"a"), ("x-scope-orgid", b"a\xff")]));
        assert_eq!(twice.tenant, TenantHeader::Repeated);
        let empty = read(raw(&[("x-scope-orgid", b"")]));
        assert_eq!(empty.tenant, TenantHeader::Once(Bytes::new()));
    }

    #[test]
    fn a_tenant_sent_twice_with_one_value_is_that_tenant() {
        for (lines, expected) in [
            (&["a", "a"] as &[&str], TenantHeader::Once(Bytes::from_static(b"a"))),
            (&["a", "a", "a"], TenantHeader::Once(Bytes::from_static(b"a"))),
            (&["", ""], TenantHeader::Once(Bytes::new())),
            (&["a", "b"], TenantHeader::Repeated),
            (&["a", "a", "b"], TenantHeader::Repeated),
            (&["a", ""], TenantHeader::Repeated),
            (&["a", "A"], TenantHeader::Repeated),
            (&["a", "a "], TenantHeader::Repeated),
        ] {
            let lines: Vec<_> = lines.iter().map(|value| ("x-scope-orgid", value.as_bytes())).collect();
            assert_eq!(read(raw(&lines)).tenant, expected, "{lines:?}");
        }
    }

    #[test]
    fn joined_headers_are_read_when_there_are_no_raw_ones() {
        let headers = HashMap::from([
            ("x-scope-orgid".to_owned(), Bytes::from_static(b"a,b")),
            ("content-type".to_owned(), Bytes::from_static(b"text/plain")),
        ]);
        let push = read(check(HttpRequest { headers, ..HttpRequest::default() }));
        assert_eq!(push.tenant, TenantHeader::Once(Bytes::from_static(b"a,b")));
        assert_eq!(push.content_type, Some(Bytes::from_static(b"text/plain")));
    }

    #[test]
    fn a_client_cannot_pass_off_a_partial_body_as_whole() {
        let push = read(raw(&[(PARTIAL_BODY, b"false"), (PARTIAL_BODY, b"true")]));
        assert_eq!(push.body, PushBody::Partial);
    }

    #[test]
    fn only_the_operator_stops_sending_bodies() {
        let mut request = raw(&[("body", b"withheld")]);
        assert_eq!(read(request.clone()).body, PushBody::Whole(Bytes::from_static(b"body")));
        let extensions = &mut request.attributes.as_mut().unwrap().context_extensions;
        extensions.insert("body".to_owned(), "withheld".to_owned());
        assert_eq!(read(request).body, PushBody::NotSent { bytes: None });
    }

    #[test]
    fn a_body_that_is_not_sent_has_its_declared_length() {
        for (length, bytes) in [("17", Some(17)), ("", None), ("-1", None), ("99999999999999999999999", None)] {
            let mut request = raw(&[(CONTENT_LENGTH, length.as_bytes())]);
            let extensions = &mut request.attributes.as_mut().unwrap().context_extensions;
            extensions.insert("body".to_owned(), "withheld".to_owned());
            assert_eq!(read(request).body, PushBody::NotSent { bytes }, "{length}");
        }
    }

    #[test]
    fn headers_ask_to_skip_label_validation() {
        for (name, value, expected) in [
            ("x-mimir-skiplabelnamevalidation", "true", true),
            ("x-mimir-skiplabelcountvalidation", "true", true),
            ("x-mimir-skiplabelcountvalidation", "1", false),
            ("retry-attempt", "true", false),
        ] {
            assert_eq!(read(raw(&[(name, value.as_bytes())])).skips_validation, expected, "{name}: {value}");
        }
    }

    #[test]
    fn retry_attempts_that_are_no_number_count_as_the_first() {
        assert_eq!(read(raw(&[("retry-attempt", b"3")])).retry_attempt, 3);
        assert_eq!(read(raw(&[("retry-attempt", b"-3")])).retry_attempt, 0);
        assert_eq!(read(raw(&[("retry-attempt", b"x")])).retry_attempt, 0);
    }
}
