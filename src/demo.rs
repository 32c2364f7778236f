//! An emulated Tsuru, a toy app in several versions and a load generator.
