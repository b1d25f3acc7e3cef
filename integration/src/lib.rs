//! sluice-integration
