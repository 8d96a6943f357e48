//! Rooms whose members are told who comes and goes.

pub(crate) mod manager;
