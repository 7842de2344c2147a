//! Memory for kernels.

/// A line of the cache: a register of 16 lanes never straddles two.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Line([f32; Line::VALUES]);

impl Line {
    const VALUES: usize = 16;
}

/// Zeros at first, aligned to a line of the cache.
#[derive(Default, Clone)]
pub struct Memory(Vec<Line>);

impl Memory {
    /// So many values or a few more.
    #[must_use]
    pub fn zeros(values: usize) -> Self {
        let mut memory = Self::default();
        memory.reserve(values);
        memory
    }

    /// Makes it at least so large; what it held stays.
    pub fn reserve(&mut self, values: usize) {
        let lines = values.div_ceil(Line::VALUES);
        if lines > self.0.len() {
            self.0.resize(lines, Line([0.0; Line::VALUES]));
        }
    }

    /// Values.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len() * Line::VALUES
    }

    /// Whether there are no values.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Bytes held.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.len() * size_of::<f32>()
    }

    /// The first value.
    #[must_use]
    pub fn as_ptr(&self) -> *const f32 {
        self.0.as_ptr().cast()
    }

    /// The first value, to be changed.
    #[must_use]
    pub fn as_mut_ptr(&mut self) -> *mut f32 {
        self.0.as_mut_ptr().cast()
    }

    /// All values, to be changed.
    #[must_use]
    pub fn as_mut_slice(&mut self) -> &mut [f32] {
        let len = self.len();
        // SAFETY: a line is nothing but its values, in order.
        unsafe { std::slice::from_raw_parts_mut(self.as_mut_ptr(), len) }
    }
}

/// `count` rounded up to whole lines of the cache.
#[must_use]
pub const fn whole_lines(count: usize) -> usize {
    count.next_multiple_of(Line::VALUES)
}
