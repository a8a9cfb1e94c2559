//! The tree as it is known: continents, regions, meta-clusters and clusters, from the labels of the
//! series that reached this process.
//!
//! Every cluster that was ever heard of, as far back as storage reaches, is listed. One that falls
//! silent stays, with the time since when; its last figures are not shown and not summed, and the
//! nodes above it say how many of their clusters their sums cover.
//!
//! # `GET /api/v1/fleet`
//!
//! `data` is the root of a tree of nodes that all look alike. Times are seconds since the epoch. A
//! figure that no reporting cluster has is `null`: absent is not zero.
//!
//! ```json
//! {
//!   "status": "success",
//!   "data": {
//!     "level": "fleet",            // fleet, continent, region, metacluster or cluster
//!     "name": "",
//!     "lastHeard": 1763766000.0,   // the newest sample below this node; null: none
//!     "staleSince": null,          // when the last cluster below fell silent; null while one reports
//!     "clusters": 2,               // clusters known below this node (a cluster counts itself)
//!     "reporting": 1,              // those of them that are not silent: what the sums below cover
//!     "targetsUp": 41,
//!     "targets": 42,
//!     "series": 120345,
//!     "samplesPerSecond": 12034.5,
//!     "firingAlerts": 1,           // alerts about this node or anything below it
//!     "children": [
//!       {
//!         "level": "continent", "name": "china", "lastHeard": 1763766000.0, "staleSince": null,
//!         "clusters": 2, "reporting": 1, "targetsUp": 41, "targets": 42, "series": 120345,
//!         "samplesPerSecond": 12034.5, "firingAlerts": 1,
//!         "children": [
//!           {
//!             "level": "region", "name": "cn-hangzhou", "…": "…",
//!             "children": [
//!               {
//!                 "level": "metacluster", "name": "hz-1", "…": "…",
//!                 "children": [
//!                   {
//!                     "level": "cluster", "name": "hz-1-t1", "scope": "tenant",
//!                     "lastHeard": 1763766000.0, "staleSince": null,
//!                     "clusters": 1, "reporting": 1, "targetsUp": 41, "targets": 42,
//!                     "series": 120345, "samplesPerSecond": 12034.5, "firingAlerts": 1,
//!                     "children": []
//!                   },
//!                   {
//!                     "level": "cluster", "name": "hz-1-t2", "scope": "tenant",
//!                     "lastHeard": 1763765000.0, "staleSince": 1763765000.0,
//!                     "clusters": 1, "reporting": 0, "targetsUp": null, "targets": null,
//!                     "series": null, "samplesPerSecond": null, "firingAlerts": 0,
//!                     "children": []
//!                   }
//!                 ]
//!               }
//!             ]
//!           }
//!         ]
//!       }
//!     ]
//!   }
//! }
//! ```
//!
//! - FLEET-1: a cluster that was heard of is listed until storage has forgotten its last sample.
//! - FLEET-2: a node's figure is the sum over its reporting clusters, and `reporting` says how many.

pub mod http;
mod readings;
mod tree;

pub use http::{Options, router};
pub use readings::read;
pub use tree::{Level, Node};
