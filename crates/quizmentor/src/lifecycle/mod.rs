//! The process among others: signals, inherited sockets, the service manager.

pub(crate) mod descriptors;
pub(crate) mod notify;
pub(crate) mod signals;
pub(crate) mod sockets;
pub(crate) mod watchdog;
