//! The allocator of everything that Sheaf ships or measures: mimalloc, told when to give memory
//! back. Whoever links this crate has it.
//!
//! mimalloc keeps what is freed for a second in case that it is wanted again. Queries one after
//! another want it: pages that the system takes back it must clear before it gives them anew,
//! which was half of the time of a scan whose rows go into memory. Merges, spilling queries and
//! memtables take and free tens of megabytes at a time too, and under a mixed load that second was
//! worth half of a small memory limit (`cargo xtask bench soak`). So memory goes back soon
//! while it is scarce for one of the process's databases, and before there is any.

use std::ffi::{c_int, c_long};

use sheaf_core::memory::tell_when_scarce;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// `mi_option_purge_delay` of mimalloc's `mi_option_e`; the tests check its number.
const PURGE_DELAY: c_int = 15;
const SOON_MS: c_long = 10;
const LATER_MS: c_long = 1000;

unsafe extern "C" {
    fn mi_option_set_default(option: c_int, value: c_long);
    fn mi_option_set(option: c_int, value: c_long);
}

/// Runs before `main`: a program has nothing to call, and so nothing to forget.
#[used]
#[cfg_attr(target_vendor = "apple", unsafe(link_section = "__DATA,__mod_init_func"))]
#[cfg_attr(not(target_vendor = "apple"), unsafe(link_section = ".init_array"))]
static BEFORE_MAIN: extern "C" fn() = begin;

extern "C" fn begin() {
    // SAFETY: stores a number into an option that exists; the environment variable
    // MIMALLOC_PURGE_DELAY is stronger.
    unsafe { mi_option_set_default(PURGE_DELAY, SOON_MS) }
    tell_when_scarce(keep_what_is_freed_if_roomy);
}

fn keep_what_is_freed_if_roomy(is_scarce: bool) {
    if std::env::var_os("MIMALLOC_PURGE_DELAY").is_none() {
        let delay = if is_scarce { SOON_MS } else { LATER_MS };
        // SAFETY: stores a number into an option that exists. Threads that free memory meanwhile
        // read it before or after, which is a word either way.
        unsafe { mi_option_set(PURGE_DELAY, delay) }
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::{c_int, c_long};

    use sheaf_core::memory::{Memory, MemoryUse};

    unsafe extern "C" {
        fn mi_option_get(option: c_int) -> c_long;
    }

    #[test]
    fn the_delay_is_set_before_main_and_by_the_room_that_there_is() {
        // SAFETY: reads options that exist. The neighbours' defaults tell that the number of
        // the option is still right.
        let options = || unsafe { [13, 14, 15, 16, 17].map(|option| mi_option_get(option)) };
        assert_eq!(options(), [0, 1, 10, 0, 0]);
        let roomy = Memory::new(16 << 30);
        assert_eq!(options(), [0, 1, 1000, 0, 0]);
        let small = Memory::new(1 << 30);
        assert_eq!(options(), [0, 1, 10, 0, 0]);
        drop(small);
        assert_eq!(options(), [0, 1, 1000, 0, 0]);
        roomy.set(MemoryUse::Queries, 9 << 30);
        assert_eq!(options(), [0, 1, 10, 0, 0]);
        roomy.set(MemoryUse::Queries, 0);
        assert_eq!(options(), [0, 1, 1000, 0, 0]);
    }
}
