use axum::body::Body;

use super::*;

fn status(token: Option<&str>, method: &str, path: &str, authorization: Option<&str>) -> u16 {
    let token = token.map(|token| Token::parse(token.as_bytes()).unwrap());
    let mut request = Request::builder().method(method).uri(path);
    if let Some(value) = authorization {
        request = request.header("authorization", value);
    }
    let rejected = rejection(&request.body(Body::empty()).unwrap(), token.as_ref());
    rejected.map_or(200, |response| response.status().as_u16())
}

#[test]
fn all_but_metrics_probes_and_page_asks_for_the_token() {
    let token = Some("sixteen-bytes-ok");
    for path in OPEN_PATHS.into_iter().chain([PAGE, "/assets/app.js"]) {
        assert_eq!(status(token, "GET", path, None), 200, "{path}");
        assert_eq!(status(token, "GET", path, Some("Bearer wrong")), 200, "{path}");
    }
    for path in [
        "/api/v1/tenants",
        "/api/v1/log-level",
        "/assets",
        "//",
        "/metrics/",
        "//metrics",
        "/Metrics",
        "/api/v1/../metrics",
    ] {
        assert_eq!(status(token, "GET", path, None), 401, "{path}");
        assert_eq!(status(token, "GET", path, Some("Bearer sixteen-bytes-ok")), 200, "{path}");
    }
}

#[test]
fn only_the_whole_token_as_a_bearer_passes() {
    let path = "/api/v1/tenants";
    for (sent, expected) in [
        ("Bearer sixteen-bytes-ok", 200),
        ("bearer sixteen-bytes-ok", 200),
        ("BEARER  sixteen-bytes-ok ", 200),
        ("Bearer sixteen-bytes-o", 401),
        ("Bearer sixteen-bytes-ok2", 401),
        ("Bearer SIXTEEN-BYTES-OK", 401),
        ("Bearer ", 401),
        ("Bearer", 401),
        ("", 401),
        ("sixteen-bytes-ok", 401),
        ("Basic sixteen-bytes-ok", 401),
        ("Bearersixteen-bytes-ok", 401),
        ("Bearer sixteen-bytes-ok,sixteen-bytes-ok", 401),
    ] {
        assert_eq!(status(Some("sixteen-bytes-ok\n"), "GET", path, Some(sent)), expected, "{sent:?}");
    }
}

#[test]
fn changes_are_off_without_a_token_and_reads_are_not() {
    for (method, expected) in
        [("GET", 200), ("HEAD", 200), ("POST", 200), ("PUT", 403), ("PATCH", 403), ("DELETE", 403)]
    {
        assert_eq!(status(None, method, "/api/v1/log-level", Some("Bearer any")), expected, "{method}");
    }
    assert_eq!(status(Some("sixteen-bytes-ok"), "PUT", "/api/v1/log-level", None), 401);
    assert_eq!(status(Some("sixteen-bytes-ok"), "PUT", "/api/v1/log-level", Some("Bearer sixteen-bytes-ok")), 200);
}

#[test]
fn a_file_without_a_token_is_rejected_and_never_shown() {
    for (content, expected) in [
        ("", "is empty"),
        (" \n", "is empty"),
        ("two words", "without spaces"),
        ("é", "ASCII"),
        ("s", "shorter than 16 bytes"),
        (" fifteen-bytes-x\n", "shorter than 16 bytes"),
    ] {
        let error = Token::parse(content.as_bytes()).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
        assert!(!["two words", "fifteen-bytes-x"].iter().any(|token| error.contains(token)), "{error}");
    }
    assert!(Token::parse(&vec![b'x'; MAX_TOKEN_BYTES + 1]).is_err());
    assert_eq!(format!("{:?}", Token::parse(b"sixteen-bytes-ok").unwrap()), "Token(…)");
}
