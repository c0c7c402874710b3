//! How the extension module of a wheel is linked.

/// Where rustc links with its own LLD unless it is told otherwise.
const LINKED_BY_LLD: &str = "x86_64-unknown-linux-gnu";

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let target = std::env::var("TARGET").unwrap_or_default();
    let profile = std::env::var("PROFILE").unwrap_or_default();
    if target == LINKED_BY_LLD && profile == "release" {
        // Generic functions that came out the same are kept once: the module is 8 MB smaller.
        println!("cargo:rustc-cdylib-link-arg=-Wl,--icf=all");
    }
}
