//! Nothing but the guide, whose code is compiled as doc tests: what it shows of other crates here alone, where they are dependencies.
#![cfg(doctest)]
#![doc = include_str!("../../../docs/migration.md")]
