//! The local cluster and the suites on it.
