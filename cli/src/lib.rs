//! sluice-cli
