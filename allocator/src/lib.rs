//! The allocator of everything that Sheaf ships or measures: mimalloc, told to give memory back
//! soon. Whoever links this crate has it.
//!
//! mimalloc keeps what is freed for a second in case that it is wanted again. Merges, spilling
//! queries and memtables take and free tens of megabytes at a time, so under a mixed load that
//! second was worth half of the memory limit (`cargo xtask bench soak`).

use std::ffi::{c_int, c_long};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// `mi_option_purge_delay` of mimalloc's `mi_option_e`; the tests check its number.
const PURGE_DELAY: c_int = 15;
const PURGE_DELAY_MS: c_long = 10;

unsafe extern "C" {
    fn mi_option_set_default(option: c_int, value: c_long);
}

/// Runs before `main`: a program has nothing to call, and so nothing to forget.
#[used]
#[cfg_attr(target_vendor = "apple", unsafe(link_section = "__DATA,__mod_init_func"))]
#[cfg_attr(not(target_vendor = "apple"), unsafe(link_section = ".init_array"))]
static BEFORE_MAIN: extern "C" fn() = give_back_soon;

extern "C" fn give_back_soon() {
    // SAFETY: stores a number into an option that exists; the environment variable
    // MIMALLOC_PURGE_DELAY is stronger.
    unsafe { mi_option_set_default(PURGE_DELAY, PURGE_DELAY_MS) }
}

#[cfg(test)]
mod tests {
    use std::ffi::{c_int, c_long};

    unsafe extern "C" {
        fn mi_option_get(option: c_int) -> c_long;
    }

    #[test]
    fn the_delay_is_set_before_main() {
        // SAFETY: reads options that exist. The neighbours' defaults tell that the number of
        // the option is still right.
        let options = unsafe { [13, 14, 15, 16, 17].map(|option| mi_option_get(option)) };
        assert_eq!(options, [0, 1, 10, 0, 0]);
    }
}
