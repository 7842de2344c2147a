//! The heap of a guest.
//!
//! A guest runs once and is thrown away, so what it costs to begin counts more than what it costs to go on. The standard heap grows the
//! memory at its first allocation; each time, the host must make pages accessible, and inaccessible again for the next call, which stops
//! every processor for a moment. This heap begins in memory that is there from the start, and grows only when that is used up.

use core::alloc::{GlobalAlloc, Layout};
use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicBool, Ordering};

use dlmalloc::Dlmalloc;

/// Memory that is there from the start. Nothing is paid for what of it is not touched.
const ARENA: usize = 1 << 20;
const PAGE: usize = 64 << 10;

#[repr(align(65536))]
struct Arena(UnsafeCell<[u8; ARENA]>);

// SAFETY: its address is handed out once, to the allocator; nobody else looks into it.
unsafe impl Sync for Arena {}

static MEMORY: Arena = Arena(UnsafeCell::new([0; ARENA]));
static IS_TAKEN: AtomicBool = AtomicBool::new(false);

/// Where the allocator gets its memory from.
struct Pages;

// SAFETY: `alloc` returns memory that nobody else uses: the arena once, and otherwise pages that the memory has just grown by. Nothing is
// ever given back or moved.
unsafe impl dlmalloc::Allocator for Pages {
    fn alloc(&self, size: usize) -> (*mut u8, usize, u32) {
        if size <= ARENA && !IS_TAKEN.swap(true, Ordering::Relaxed) {
            return (MEMORY.0.get().cast(), ARENA, 0);
        }
        let pages = size.div_ceil(PAGE);
        match core::arch::wasm32::memory_grow(0, pages) {
            usize::MAX => (core::ptr::null_mut(), 0, 0),
            // The last page of the address space is never granted by a host, so the end does not wrap around.
            before => ((before * PAGE) as *mut u8, pages * PAGE, 0),
        }
    }

    fn remap(&self, _: *mut u8, _: usize, _: usize, _: bool) -> *mut u8 {
        core::ptr::null_mut()
    }

    fn free_part(&self, _: *mut u8, _: usize, _: usize) -> bool {
        false
    }

    fn free(&self, _: *mut u8, _: usize) -> bool {
        false
    }

    fn can_release_part(&self, _: u32) -> bool {
        false
    }

    fn allocates_zeros(&self) -> bool {
        true
    }

    fn page_size(&self) -> usize {
        PAGE
    }
}

struct Heap(UnsafeCell<Dlmalloc<Pages>>);

// SAFETY: a guest has one thread.
unsafe impl Sync for Heap {}

#[global_allocator]
static HEAP: Heap = Heap(UnsafeCell::new(Dlmalloc::new_with_allocator(Pages)));

// SAFETY: every method passes on what it is given; the allocator keeps the rules of `GlobalAlloc`, and with one thread and no calls from
// inside of it the reference is the only one.
unsafe impl GlobalAlloc for Heap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        unsafe { (*self.0.get()).malloc(layout.size(), layout.align()) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        unsafe { (*self.0.get()).calloc(layout.size(), layout.align()) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        unsafe { (*self.0.get()).free(memory, layout.size(), layout.align()) }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        unsafe { (*self.0.get()).realloc(memory, layout.size(), layout.align(), size) }
    }
}
