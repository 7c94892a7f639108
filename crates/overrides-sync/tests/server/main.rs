//! The server as mimir-rls and an operator meet it: in this process on free ports, and as a binary.

mod command_line;
mod contract;
mod feed;
mod life;
mod readers;
mod secured;
mod support;
