use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use axum::body::{Body, to_bytes};
use axum::http::Request;
use tower::ServiceExt;

use super::*;

async fn ask(path: &str, known: Option<&str>) -> (StatusCode, HeaderMap, String) {
    let mut request = Request::get(path);
    if let Some(known) = known {
        request = request.header(header::IF_NONE_MATCH, known);
    }
    let response = routes(Program::MimirRls).oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
    let (head, body) = response.into_parts();
    let body = to_bytes(body, usize::MAX).await.unwrap();
    (head.status, head.headers, String::from_utf8(body.to_vec()).unwrap())
}

#[track_caller]
fn header_of(headers: &HeaderMap, name: impl AsRef<str>) -> &str {
    headers.get(name.as_ref()).unwrap().to_str().unwrap()
}

/// The paths in double quotes that follow a word.
fn quoted_after<'t>(text: &'t str, word: &'t str) -> impl Iterator<Item = &'t str> {
    text.split(word).skip(1).filter_map(|rest| rest.split(['"', '\'']).next())
}

#[tokio::test]
async fn every_file_has_its_type_and_a_strict_policy() {
    let folder = FILES.map(|(name, content_type, _)| (format!("{FOLDER}{name}"), content_type));
    for (path, content_type) in folder.into_iter().chain([("/".to_owned(), HTML)]) {
        let (status, headers, _) = ask(&path, None).await;
        assert_eq!((status, header_of(&headers, "content-type")), (StatusCode::OK, content_type), "{path}");
        assert_eq!(header_of(&headers, "content-security-policy"), POLICY);
        assert_eq!(header_of(&headers, "x-content-type-options"), "nosniff");
    }
    assert!(POLICY.starts_with("default-src 'none';") && !POLICY.contains("unsafe"));
    assert_eq!(ask("/assets/other.js", None).await.0, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_file_that_the_browser_has_is_not_sent_again() {
    let (_, headers, _) = ask("/assets/app.js", None).await;
    let tag = header_of(&headers, "etag");
    for known in [tag.to_owned(), format!("W/{tag}"), format!("\"x\", {tag}")] {
        let (status, headers, body) = ask("/assets/app.js", Some(&known)).await;
        assert_eq!((status, body.len()), (StatusCode::NOT_MODIFIED, 0), "{known}");
        assert_eq!(header_of(&headers, "etag"), tag);
    }
    assert_eq!(ask("/assets/app.js", Some("\"x\"")).await.0, StatusCode::OK);
}

#[tokio::test]
async fn the_page_names_its_program() {
    let (_, _, page) = ask("/", None).await;
    assert!(page.contains(r#"data-program="mimir-rls""#) && !page.contains(PROGRAM));
}

#[test]
fn each_file_of_the_folder_is_served_and_named() {
    let assets = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets");
    let on_disk: BTreeSet<_> = fs::read_dir(assets).unwrap().map(|it| it.unwrap().file_name()).collect();
    let served: BTreeSet<_> = FILES.iter().map(|(name, ..)| (*name).into()).chain(["index.html".into()]).collect();
    assert_eq!(on_disk, served);

    let page = include_str!("../assets/index.html");
    let mut named: BTreeSet<_> = quoted_after(page, "=\"/assets/").collect();
    for (_, content_type, content) in FILES {
        if content_type == SCRIPT {
            named.extend(quoted_after(std::str::from_utf8(content).unwrap(), "from './"));
        }
    }
    assert_eq!(named, FILES.iter().map(|(name, ..)| *name).collect::<BTreeSet<_>>());
}

#[test]
fn no_file_has_inline_code_or_another_host() {
    let page = include_str!("../assets/index.html").as_bytes();
    for (name, content) in FILES.iter().map(|(name, _, content)| (*name, *content)).chain([("index.html", page)]) {
        let text = std::str::from_utf8(content).unwrap();
        for forbidden in
            ["innerHTML", "outerHTML", "document.write", "eval(", "style=\"", " onclick=\"", "//cdn", "@import"]
        {
            assert!(!text.contains(forbidden), "{name} has {forbidden}");
        }
        let hosts = text.match_indices("http").filter(|(at, _)| {
            let rest = &text[*at..];
            (rest.starts_with("http://") || rest.starts_with("https://"))
                && !rest.starts_with("http://www.w3.org/2000/svg")
        });
        assert_eq!(hosts.count(), 0, "{name} names another host");
    }
}
