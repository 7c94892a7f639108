//! `edgectl quick-setup` prints what the docs say. `tests/e2e` has its other cases, with a real Mimir and docker compose.

use std::fs;
use std::path::Path;

use axum::response::IntoResponse;
use tempfile::TempDir;

use crate::docs::{blocks, section};
use crate::replica::{Replica, fault};
use crate::{Finished, edgectl};

const LIMITS: &str = "ops/compose/limits/limits.yaml";

/// The files of a checkout that it reads.
fn checkout() -> TempDir {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let folder = TempDir::new().unwrap();
    for name in ["compose.yaml", ".env.example", "ops/compose/limits/limits.yaml", "ops/compose/limits/edge.yaml"] {
        let place = folder.path().join(name);
        fs::create_dir_all(place.parent().unwrap()).unwrap();
        fs::copy(repository.join(name), place).unwrap();
    }
    folder
}

fn quick_setup(folder: &TempDir, arguments: &[&str]) -> Finished {
    let mut command = edgectl(&[&["quick-setup", "--yes"], arguments].concat());
    command.current_dir(folder.path()).env_remove("MIMIR_URL").env_remove("MIMIR_QUERY_URL");
    Finished::of(command.output().unwrap())
}

#[test]
fn quick_setup_prints_what_the_docs_say() {
    let folder = checkout();
    let section = section("## edgectl quick-setup");
    assert_eq!(blocks(section, "sh"), ["edgectl quick-setup --yes\n"]);
    let finished = quick_setup(&folder, &[]);
    assert_eq!((finished.code, finished.err.as_str()), (Some(0), ""), "{finished:?}");
    assert_eq!(finished.out, blocks(section, "text")[0]);
}

#[test]
fn each_file_of_before_is_kept() {
    let folder = checkout();
    let arguments = |url| ["--platform=railway", "--no-check", "--force", "--mimir-url", url];
    let place = |name: &str| folder.path().join(name);
    fs::write(place("mimir-envoy.env"), b"SECRET=\xff\n").unwrap();
    let refused = quick_setup(&folder, &["--platform=railway", "--no-check", "--mimir-url=https://one.example"]);
    assert_eq!(refused.code, Some(1), "{refused:?}");
    let first = quick_setup(&folder, &arguments("https://one.example"));
    assert_eq!(first.code, Some(0), "{first:?}");
    let second = quick_setup(&folder, &arguments("https://two.example"));
    assert!(second.out.contains("the one of before is mimir-envoy.env.before.2\n"), "{second:?}");
    assert!(
        second.out.contains("  git add ops/compose/limits/edge.yaml ops/compose/limits/limits.yaml\n"),
        "{second:?}"
    );
    assert_eq!(fs::read(place("mimir-envoy.env.before")).unwrap(), b"SECRET=\xff\n");
    assert!(fs::read_to_string(place("mimir-envoy.env.before.2")).unwrap().contains("https://one.example"));
    fs::remove_file(place("mimir-rls.env")).unwrap();
    fs::create_dir(place("mimir-rls.env")).unwrap();
    let unreadable = quick_setup(&folder, &arguments("https://three.example"));
    assert_eq!(unreadable.code, Some(66), "{unreadable:?}");
    assert!(fs::read_to_string(place("mimir-envoy.env")).unwrap().contains("https://two.example"));
}

#[test]
fn the_demo_is_not_taken_for_the_overrides_of_mimir() {
    let mimir = |status: u16, page: &'static str| {
        Replica::start(move |asked| match asked.target.as_str() {
            "/api/v1/status/buildinfo" => r#"{"data":{"version":"2.17.0"}}"#.into_response(),
            _ if status == 200 => page.into_response(),
            _ => fault(status, page),
        })
    };
    let (none, refused) = (mimir(200, "runtime config file doesn't exist"), mimir(403, "forbidden"));
    let folder = checkout();
    let finished = quick_setup(&folder, &["--force", "--mimir-url", &none.url]);
    assert!(finished.out.contains("√ Mimir answers: version 2.17.0, no tenant has overrides\n"), "{finished:?}");
    let limits = fs::read_to_string(folder.path().join(LIMITS)).unwrap();
    assert!(limits.ends_with("\noverrides: {}\n"), "{limits}");
    let finished = quick_setup(&checkout(), &["--force", "--mimir-url", &refused.url]);
    assert_eq!(finished.code, Some(0), "{finished:?}");
    assert!(
        finished.out.contains("‼ Mimir answers: version 2.17.0, but it does not show its overrides"),
        "{finished:?}"
    );
    assert!(finished.out.contains("unchanged  ops/compose/limits/limits.yaml\n"), "{finished:?}");
}
