//! Any bytes as a limits cache, as they are and after a title with a valid checksum.
//!
//! Checks: limits that are read, written and read again stay the same; a text with one flipped bit is rejected; a rejected text
//! leaves no limits; and the file has the limits of its text.
//!
//! The first byte of an input chooses the bit that is flipped. The others are the file.

use std::fs;
use std::path::PathBuf;
use std::sync::{Arc, LazyLock};

use limits::{CACHE_TITLE, LimitsState, Restored, Snapshot, TenantLimits, render_cache};
use limits_source::LimitsCache;
use tempfile::TempDir;

static FOLDER: LazyLock<TempDir> = LazyLock::new(|| tempfile::tempdir().expect("a folder can be made"));

/// Reads an input, and the same with a valid title.
pub fn restore(input: &[u8]) {
    let Some((place, bytes)) = input.split_first() else { return };
    let snapshot = String::from_utf8(bytes.to_vec()).ok().and_then(|text| read(&text));
    let from_file = load(bytes);
    assert_eq!(from_file.map(|limits| limits.content_sum()), snapshot.map(|limits| limits.content_sum()));

    let body = String::from_utf8_lossy(bytes);
    let titled = title(&body) + &body;
    if read(&titled).is_some() {
        let mut changed = titled.into_bytes();
        let at = usize::from(*place) * 7919 % changed.len();
        if let Some(byte) = changed.get_mut(at) {
            *byte ^= 1 << (place % 7);
        }
        let rejected = String::from_utf8(changed).map_or(true, |text| state().restore(&text).is_err());
        assert!(rejected, "a flipped bit in byte {at} is not noticed");
    }
}

fn state() -> LimitsState {
    LimitsState::new(TenantLimits::default(), false)
}

/// The limits of a text, which must stay the same when written and read again, as must its number of distributors.
fn read(text: &str) -> Option<Arc<Snapshot>> {
    let mut state = state();
    let Ok(Restored { limits, distributors }) = state.restore(text) else {
        assert!(state.current().is_none(), "a text that is rejected leaves limits");
        return None;
    };
    let written = render_cache(&limits, distributors).expect("an input is small");
    let again = self::state().restore(&written).expect("what was written is read");
    assert_eq!((again.limits.content_sum(), again.distributors), (limits.content_sum(), distributors));
    Some(limits)
}

fn load(bytes: &[u8]) -> Option<Arc<Snapshot>> {
    let path: PathBuf = FOLDER.path().join("limits-cache");
    fs::write(&path, bytes).expect("a file can be written");
    let mut state = state();
    LimitsCache::new(path).load(&mut state)?;
    state.current()
}

/// The first line of a cache with this body, in the current format.
fn title(body: &str) -> String {
    static FORMAT: LazyLock<String> = LazyLock::new(|| {
        let empty = state().apply(&[]).snapshot.expect("no document is no fault");
        let written = render_cache(&empty, None).expect("it is small");
        let format = written.strip_prefix(CACHE_TITLE).and_then(|rest| rest.split_once(", checksum "));
        format.expect("a cache has a title").0.to_owned()
    });
    let sum = body
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |sum, byte| (sum ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    format!("{CACHE_TITLE}{}, checksum {sum:016x}\n", *FORMAT)
}
