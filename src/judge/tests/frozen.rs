//! After 100 %: the canary alone, held against the baseline as it was.

use super::*;
