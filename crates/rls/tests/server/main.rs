//! The server as Envoy and an operator meet it: in this process on free ports, and as a binary.

mod check;
mod command_line;
mod life;
mod overload;
mod peers;
mod support;
