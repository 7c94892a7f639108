//! `edgectl quick-setup` prints what the docs say. `tests/e2e` has its other cases, with a real Mimir and docker compose.

use std::fs;
use std::path::Path;

use tempfile::TempDir;

use crate::docs::{blocks, section};
use crate::{Finished, edgectl};

#[test]
fn quick_setup_prints_what_the_docs_say() {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let folder = TempDir::new().unwrap();
    for name in ["compose.yaml", ".env.example", "ops/compose/limits/limits.yaml", "ops/compose/limits/edge.yaml"] {
        let place = folder.path().join(name);
        fs::create_dir_all(place.parent().unwrap()).unwrap();
        fs::copy(repository.join(name), place).unwrap();
    }
    let section = section("## edgectl quick-setup");
    assert_eq!(blocks(section, "sh"), ["edgectl quick-setup --yes\n"]);
    let mut command = edgectl(&["quick-setup", "--yes"]);
    command.current_dir(folder.path()).env_remove("MIMIR_URL").env_remove("MIMIR_QUERY_URL");
    let finished = Finished::of(command.output().unwrap());
    assert_eq!((finished.code, finished.err.as_str()), (Some(0), ""), "{finished:?}");
    assert_eq!(finished.out, blocks(section, "text")[0]);
}
