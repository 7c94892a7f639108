//! What tenants sent, and what limits would make of it: `edgectl top`, `simulate` and `suggest`.

mod api;
mod simulate;
mod suggest;
mod top;

pub(crate) use simulate::run as simulate;
pub(crate) use suggest::run as suggest;
pub(crate) use top::run as top;
