#pragma once

#include "core/io/hdf5_handle.h"
#include "core/io/write_set.h"

namespace linscope {

/// A file access list with which H5Fcreate and H5Fopen work on `set` instead of a file. The set must
/// outlive the file's identifier. The caller holds a Hdf5Session.
Hdf5Handle writeSetAccess(WriteSet& set);

}  // namespace linscope
