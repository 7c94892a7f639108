//! The server as Envoy and an operator meet it: in this process on free ports, and as a binary.

mod admin;
mod bodies_not_decoded;
mod check;
mod command_line;
mod contract;
mod default_tenant;
mod feed;
mod ha_tracker;
mod life;
mod modes;
mod overload;
mod page;
mod pairs;
mod peers;
mod rate_limit;
mod refunds;
mod secured;
mod support;
mod unmetered;
