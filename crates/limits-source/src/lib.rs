//! Where limits come from. Every source fills one watch channel of [`ControlState`], so that a server does not know which one it has.
//!
//! A source never takes good limits away: a document that cannot be used becomes a problem in the state, and the last good limits stay. The edge
//! configuration is watched the same way, and [`LimitsCache`] carries the last good limits over a restart.

mod applied;
