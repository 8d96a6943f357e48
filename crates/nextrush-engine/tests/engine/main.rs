//! How the engine behaves: on the simulated network with virtual time, and in
//! [`sockets`] on real sockets against an independent client.

mod support;

mod close;
