//! What a tenant sent, by the second, and what other limits would make of it.
//!
//! [`History`] keeps the last seconds and hours of one tenant in bounded memory; [`simulate()`] plays them against limits by the buckets of `enforce`;
//! [`suggest()`] finds limits that let them pass. Nothing here does I/O or reads a clock: the caller closes a second by [`History::push`].

mod charges;
mod history;
mod interval;
mod simulate;
mod suggest;

pub use history::{FINE_SECONDS, History, KEPT_SECONDS, Window};
pub use interval::{Interval, Usage, with_all_items};
pub use simulate::{Limits, Outcome, simulate};
pub use suggest::{Counted, Suggestion, suggest};
