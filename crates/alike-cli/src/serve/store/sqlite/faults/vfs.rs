//! The layer between SQLite and the disk, with a [`Disk`] in between that sees each call before it is made.
//!
//! SQLite takes such layers as tables of C functions, so this needs `unsafe`. It changes nothing itself:
//! every call goes on to the layer that SQLite brings for the system, or is answered by an error.

use std::ffi::{CStr, c_char, c_int, c_void};
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};

use rusqlite::ffi::{self, sqlite3_file, sqlite3_int64, sqlite3_io_methods, sqlite3_vfs};

use super::disk::{Call, Disk};

/// An open file of a watched folder. The file of the system's layer lies behind it in the same memory.
#[repr(C)]
struct Watched {
    base: sqlite3_file,
    /// From `Box::into_raw`, until the file is closed.
    entry: *mut (Arc<Disk>, String),
}

/// The system's layer and this one.
struct Layers {
    system: *mut sqlite3_vfs,
    _ours: Box<sqlite3_vfs>,
}

// SAFETY: the system's layer is static, and both are only read once they are made.
unsafe impl Send for Layers {}
// SAFETY: as above.
unsafe impl Sync for Layers {}

static LAYERS: OnceLock<Layers> = OnceLock::new();
static DISKS: Mutex<Vec<Weak<Disk>>> = Mutex::new(Vec::new());

/// Watches `folder` for as long as the disk lives. Files of other folders are none of ours.
pub(crate) fn watch(folder: &Path) -> Arc<Disk> {
    LAYERS.get_or_init(|| {
        // SAFETY: SQLite gives its default layer, which is static.
        let system = unsafe { ffi::sqlite3_vfs_find(std::ptr::null()) };
        assert!(!system.is_null(), "SQLite has a layer for this system");
        // SAFETY: as above; its functions do not look at which copy of the table they are called with.
        let mut ours = Box::new(unsafe { *system });
        ours.szOsFile += size_of::<Watched>() as c_int;
        ours.zName = c"watched".as_ptr();
        ours.pNext = std::ptr::null_mut();
        ours.xOpen = Some(open);
        ours.xDelete = Some(delete);
        // SAFETY: the table stays where it is until the process ends.
        assert_eq!(unsafe { ffi::sqlite3_vfs_register(&raw mut *ours, 1) }, ffi::SQLITE_OK);
        Layers { system, _ours: ours }
    });
    let disk = Arc::new(Disk::new(folder));
    let mut disks = DISKS.lock().unwrap_or_else(PoisonError::into_inner);
    disks.retain(|disk| disk.strong_count() > 0);
    disks.push(Arc::downgrade(&disk));
    disk
}

fn system() -> *mut sqlite3_vfs {
    LAYERS.get().expect("the layer is registered before it is called").system
}

/// The disk that a file belongs to, and its name there.
///
/// # Safety
/// `path` is null or a C string.
unsafe fn watched_file(path: *const c_char) -> Option<(Arc<Disk>, String)> {
    if path.is_null() {
        return None;
    }
    // SAFETY: the caller's.
    let path = Path::new(unsafe { CStr::from_ptr(path) }.to_str().ok()?);
    let disks = DISKS.lock().unwrap_or_else(PoisonError::into_inner);
    let disk = disks.iter().filter_map(Weak::upgrade).find(|d| path.parent() == Some(&d.folder))?;
    Some((disk, path.file_name()?.to_string_lossy().into_owned()))
}

unsafe extern "C" fn open(
    _: *mut sqlite3_vfs,
    path: *const c_char,
    file: *mut sqlite3_file,
    flags: c_int,
    out: *mut c_int,
) -> c_int {
    // SAFETY: SQLite's arguments, given on as they are; `file` has room for ours and the system's behind it,
    // and only for a file that was opened SQLite calls anything else.
    unsafe {
        let pass_on = (*system()).xOpen.unwrap();
        let Some((disk, name)) = watched_file(path) else { return pass_on(system(), path, file, flags, out) };
        (*file).pMethods = std::ptr::null();
        if let Err(code) = disk.pass(&name, &Call::Open { creates: flags & ffi::SQLITE_OPEN_CREATE != 0 }) {
            return code;
        }
        let code = pass_on(system(), path, behind(file), flags, out);
        if code == ffi::SQLITE_OK {
            let ours = file.cast::<Watched>();
            (*ours).entry = Box::into_raw(Box::new((disk, name)));
            (*ours).base.pMethods = &raw const METHODS;
        }
        code
    }
}

unsafe extern "C" fn delete(_: *mut sqlite3_vfs, path: *const c_char, synced: c_int) -> c_int {
    // SAFETY: SQLite's arguments, given on as they are.
    unsafe {
        if let Some((disk, name)) = watched_file(path)
            && let Err(code) = disk.pass(&name, &Call::Delete { synced: synced != 0 })
        {
            return code;
        }
        (*system()).xDelete.unwrap()(system(), path, synced)
    }
}

/// The system's file behind ours.
fn behind(file: *mut sqlite3_file) -> *mut sqlite3_file {
    file.cast::<Watched>().wrapping_add(1).cast()
}

/// Whether a call on an open file may be made.
///
/// # Safety
/// `file` was opened by [`open`] and is not closed.
unsafe fn pass(file: *mut sqlite3_file, call: &Call<'_>) -> Result<(), c_int> {
    // SAFETY: the caller's: the box is there until the file is closed.
    let (disk, name) = unsafe { &*(*file.cast::<Watched>()).entry };
    disk.pass(name, call)
}

/// A function that gives a call on to the system's file, after `$call` was allowed if there is one.
macro_rules! method {
    ($name:ident = $method:ident ( $file:ident $(, $arg:ident : $ty:ty)* ) $(-> $ret:ty)? $(, if $call:expr)?) => {
        unsafe extern "C" fn $name($file: *mut sqlite3_file $(, $arg: $ty)*) $(-> $ret)? {
            // SAFETY: SQLite calls this on files that `open` opened, with arguments that hold for the
            // system's, too.
            unsafe {
                $(if let Err(code) = pass($file, &$call) {
                    return code;
                })?
                let system = behind($file);
                (*(*system).pMethods).$method.unwrap()(system $(, $arg)*)
            }
        }
    };
}

method!(read = xRead(file, to: *mut c_void, count: c_int, from: sqlite3_int64) -> c_int, if Call::Read);
method!(write = xWrite(file, bytes: *const c_void, count: c_int, from: sqlite3_int64) -> c_int, if
    Call::Write(from as usize, std::slice::from_raw_parts(bytes.cast(), count as usize)));
method!(truncate = xTruncate(file, size: sqlite3_int64) -> c_int, if Call::Truncate(size as usize));
method!(sync = xSync(file, flags: c_int) -> c_int, if Call::Sync);
method!(map = xShmMap(file, page: c_int, size: c_int, extend: c_int, to: *mut *mut c_void) -> c_int, if Call::Map);
method!(size = xFileSize(file, to: *mut sqlite3_int64) -> c_int);
method!(lock = xLock(file, level: c_int) -> c_int);
method!(unlock = xUnlock(file, level: c_int) -> c_int);
method!(reserved = xCheckReservedLock(file, to: *mut c_int) -> c_int);
method!(control = xFileControl(file, op: c_int, arg: *mut c_void) -> c_int);
method!(sector = xSectorSize(file) -> c_int);
method!(characteristics = xDeviceCharacteristics(file) -> c_int);
method!(map_lock = xShmLock(file, offset: c_int, n: c_int, flags: c_int) -> c_int);
method!(map_barrier = xShmBarrier(file));
method!(unmap = xShmUnmap(file, delete: c_int) -> c_int);
method!(fetch = xFetch(file, from: sqlite3_int64, count: c_int, to: *mut *mut c_void) -> c_int);
method!(unfetch = xUnfetch(file, from: sqlite3_int64, at: *mut c_void) -> c_int);

unsafe extern "C" fn close(file: *mut sqlite3_file) -> c_int {
    // SAFETY: SQLite closes a file that `open` opened once.
    unsafe {
        drop(Box::from_raw((*file.cast::<Watched>()).entry));
        let system = behind(file);
        (*(*system).pMethods).xClose.unwrap()(system)
    }
}

static METHODS: sqlite3_io_methods = sqlite3_io_methods {
    iVersion: 3,
    xClose: Some(close),
    xRead: Some(read),
    xWrite: Some(write),
    xTruncate: Some(truncate),
    xSync: Some(sync),
    xFileSize: Some(size),
    xLock: Some(lock),
    xUnlock: Some(unlock),
    xCheckReservedLock: Some(reserved),
    xFileControl: Some(control),
    xSectorSize: Some(sector),
    xDeviceCharacteristics: Some(characteristics),
    xShmMap: Some(map),
    xShmLock: Some(map_lock),
    xShmBarrier: Some(map_barrier),
    xShmUnmap: Some(unmap),
    xFetch: Some(fetch),
    xUnfetch: Some(unfetch),
};
