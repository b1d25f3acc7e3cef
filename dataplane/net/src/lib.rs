//! sluice-net
