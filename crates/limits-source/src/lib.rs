//! Where limits come from. Every source fills one watch channel of [`ControlState`], so that a server does not know which one it has.
//!
//! A source never takes good limits away: a document that cannot be used becomes a problem in the state, and the last good limits stay.

mod feed;
mod file;
mod spec;
mod stamp;

pub use feed::{Freshness, LimitsFeed};
pub use file::{FileSource, MAX_FILE_BYTES};
pub use spec::{SourceSpec, SpecError};

pub use limits::ControlState;
