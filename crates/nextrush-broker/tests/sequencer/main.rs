//! Brokers of several nodes on one store that does everything that stores do.

mod bounds;
mod model;
mod reader;
mod world;
