//! What the sheets of both kinds of workbook hold.

/// Maximum of columns of a sheet, as in Excel.
pub(super) const COLUMNS: u32 = 1 << 14;

/// A cell of a sheet without its text.
pub(super) struct SheetCell {
    /// From 0.
    pub(super) row: u32,
    pub(super) column: u32,
    /// Whether its row is hidden.
    pub(super) is_hidden: bool,
    /// Whether it is a number that may be another than the one that was written.
    pub(super) lost_digits: bool,
}
