use super::*;

#[track_caller]
fn check<T: FromStr + fmt::Display>(text: &str, expected: Result<&str, T::Err>)
where
    T::Err: PartialEq + fmt::Debug,
{
    let read = text.parse::<T>().map(|url| url.to_string());
    assert_eq!(read.as_deref(), expected.as_ref().map(|url| *url), "{text}");
}

#[track_caller]
fn check_ha_tracker(text: &str, expected: Result<&str, UrlError>) {
    assert_eq!(MimirUrl::of_ha_tracker(text).map(|url| url.to_string()), expected.map(str::to_owned), "{text}");
}

#[test]
fn an_address_is_shown_without_its_query() {
    check::<DocumentUrl>("http://config:8080/runtime.yaml.gz", Ok("http://config:8080/runtime.yaml.gz"));
    check::<DocumentUrl>("https://[::1]/", Ok("https://[::1]/"));
    check::<DocumentUrl>("https://config/a?token=secret", Ok("https://config/a?…"));
    check::<DocumentUrl>("https://config/a?token=secret&file=b.gz", Ok("https://config/a?….gz"));
    check::<DocumentUrl>("http://config/a#b", Ok("http://config/a"));
    assert_eq!("http://c/a?b=c".parse::<DocumentUrl>().unwrap().uri().query(), Some("b=c"));
}

#[test]
fn what_is_no_address_is_rejected_and_not_repeated() {
    for text in ["http://", "http:///x", "http://:80", "http://a:99999/", "http://a:/x", "http://a b/", "ftp://a/x"] {
        check::<DocumentUrl>(text, Err(UrlError::NoHttpUrl(DocumentUrl::EXAMPLE)));
    }
    for text in ["http://me:secret@config/x", "https://@config/x"] {
        check::<DocumentUrl>(text, Err(UrlError::Credentials));
    }
}

#[test]
fn pages_are_below_the_path_of_the_address() {
    for (base, page) in [
        ("http://mimir:8080", "http://mimir:8080/config?mode=diff"),
        ("http://mimir:8080/", "http://mimir:8080/config?mode=diff"),
        ("https://gateway/mimir/", "https://gateway/mimir/config?mode=diff"),
        ("https://[::1]/mimir", "https://[::1]/mimir/config?mode=diff"),
    ] {
        let base = MimirUrl::parse(base, "/").unwrap();
        assert_eq!(base.page("/config?mode=diff").map(|url| url.to_string()), Ok(page.to_owned()));
    }
}

#[test]
fn a_url_without_a_path_gets_mimirs() {
    check_ha_tracker("http://mimir:8080", Ok("http://mimir:8080/distributor/ha_tracker"));
    check_ha_tracker("http://mimir:8080/", Ok("http://mimir:8080/distributor/ha_tracker"));
    check_ha_tracker("https://[::1]:443", Ok("https://[::1]:443/distributor/ha_tracker"));
    check_ha_tracker("HTTP://mimir", Ok("http://mimir/distributor/ha_tracker"));
    check_ha_tracker("https://gateway/mimir/ha", Ok("https://gateway/mimir/ha"));
}

#[test]
fn mimirs_address_is_an_http_url_with_a_host() {
    let bad = ["", "mimir", "mimir:8080", "/distributor", "ftp://mimir", "http://", "http:///x", "http://:80", "é"];
    for text in bad.into_iter().chain(["http://mimir:99999", "http://mimir:", "http://mi mir", "http//mimir"]) {
        check_ha_tracker(text, Err(UrlError::NoHttpUrl(MimirUrl::EXAMPLE)));
    }
}

#[test]
fn an_address_of_mimir_has_no_secrets_and_parameters() {
    for text in ["http://me:secret@mimir", "https://secret@mimir/x", "http://me:secret@mimir?x", "http://@mimir"] {
        check_ha_tracker(text, Err(UrlError::Credentials));
    }
    for text in ["http://mimir?token=secret", "http://mimir/x?", "http://mimir/x#secret", "http://mimir#a?b"] {
        check_ha_tracker(text, Err(UrlError::Parameters));
    }
}

#[test]
fn one_or_several_servers_are_named() {
    check::<FeedUrls>("http://overrides-sync:8083", Ok("http://overrides-sync:8083"));
    check::<FeedUrls>("http://a:1/,http://b.ns.svc:2", Ok("http://a:1,http://b.ns.svc:2"));
    check::<FeedUrls>("http://127.0.0.1:1, HTTP://[::1]:2", Ok("http://127.0.0.1:1,http://[::1]:2"));
    check::<FeedUrls>("https://a:1,http://b:2, HTTPS://[::1]:3", Ok("https://a:1,http://b:2,https://[::1]:3"));
}

#[test]
fn what_names_no_server_is_rejected() {
    let bad = ["", "a", "a:1", "ftp://a:1", "http://", "http://:1", "http:///x", "http://a:1,", ",http://a:1", "é"];
    for text in bad.into_iter().chain(["http://a b:1", "http//a:1", "http://a:1,b:2"]) {
        check::<FeedUrls>(text, Err(FeedUrlsError::NoHttpUrl));
    }
}

#[test]
fn a_port_and_nothing_behind_it_is_needed() {
    for text in ["http://a", "http://a:", "http://a:0", "http://a/", "http://[::1]"] {
        check::<FeedUrls>(text, Err(FeedUrlsError::NoPort));
    }
    check::<FeedUrls>("http://a:70000", Err(FeedUrlsError::NoPort));
    for text in ["http://a:1/x", "http://a:1?x", "http://a:1/?", "http://a:1#x", "http://a:1/,http://b:1//"] {
        check::<FeedUrls>(text, Err(FeedUrlsError::Path));
    }
}

#[test]
fn an_address_of_the_feed_has_no_secrets() {
    for text in ["http://me:secret@a:1", "http://@a:1", "http://a:1,http://secret@b:1"] {
        check::<FeedUrls>(text, Err(FeedUrlsError::Credentials));
    }
}

#[test]
fn only_so_many_are_named() {
    check::<FeedUrls>(&vec!["http://a:1"; MAX_URLS + 1].join(","), Err(FeedUrlsError::TooMany));
    check::<FeedUrls>(&format!("http://{}:1", "a".repeat(MAX_URLS_BYTES)), Err(FeedUrlsError::TooMany));
    assert!(vec!["http://a:1"; MAX_URLS].join(",").parse::<FeedUrls>().is_ok());
}
