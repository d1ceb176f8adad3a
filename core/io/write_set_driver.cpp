#include "core/io/write_set_driver.h"

#include <exception>
#include <limits>
#include <new>

// HDF5's virtual file layer calls these C functions; no exception may leave them.

namespace linscope {

namespace {

struct DriverInfo {
    WriteSet* set = nullptr;
};

struct DriverFile {
    H5FD_t base{};  // first, since HDF5 fills it in and hands it back
    WriteSet* set = nullptr;
};

WriteSet& setOf(const H5FD_t* file) {
    return *reinterpret_cast<const DriverFile*>(file)->set;
}

H5FD_t* openFile(const char*, unsigned, hid_t access, haddr_t) {
    const auto* info = static_cast<const DriverInfo*>(H5Pget_driver_info(access));
    if (!info || !info->set) return nullptr;
    auto* file = new (std::nothrow) DriverFile;
    if (!file) return nullptr;
    file->set = info->set;
    return &file->base;
}

herr_t closeFile(H5FD_t* file) {
    delete reinterpret_cast<DriverFile*>(file);
    return 0;
}

herr_t queryFeatures(const H5FD_t*, unsigned long* flags) {
    // No accumulator: each block of metadata must come as one write for WriteSet to know what it is.
    if (flags) *flags = 0;
    return 0;
}

haddr_t getEnd(const H5FD_t* file, H5FD_mem_t) {
    return setOf(file).end();
}

herr_t setEnd(H5FD_t* file, H5FD_mem_t, haddr_t end) {
    setOf(file).setEnd(end);
    return 0;
}

haddr_t getSize(const H5FD_t* file, H5FD_mem_t) {
    return setOf(file).size();
}

herr_t readBytes(H5FD_t* file, H5FD_mem_t, hid_t, haddr_t offset, size_t size, void* buffer) {
    try {
        setOf(file).read(offset, {static_cast<std::byte*>(buffer), size});
        return 0;
    } catch (const std::exception&) {
        return -1;
    }
}

herr_t writeBytes(H5FD_t* file, H5FD_mem_t, hid_t, haddr_t offset, size_t size, const void* buffer) {
    try {
        setOf(file).write(offset, {static_cast<const std::byte*>(buffer), size});
        return 0;
    } catch (const std::exception&) {
        return -1;
    }
}

herr_t truncateFile(H5FD_t* file, hid_t, hbool_t) {
    setOf(file).setSize(setOf(file).end());
    return 0;
}

H5FD_class_t driverClass() {
    H5FD_class_t driver{};
    driver.name = "linscope_write_set";
    driver.maxaddr = static_cast<haddr_t>(std::numeric_limits<std::int64_t>::max());
    driver.fc_degree = H5F_CLOSE_SEMI;
    driver.fapl_size = sizeof(DriverInfo);
    driver.open = openFile;
    driver.close = closeFile;
    driver.query = queryFeatures;
    driver.get_eoa = getEnd;
    driver.set_eoa = setEnd;
    driver.get_eof = getSize;
    driver.read = readBytes;
    driver.write = writeBytes;
    driver.truncate = truncateFile;
    for (H5FD_mem_t& kind : driver.fl_map) kind = H5FD_MEM_DEFAULT;
    return driver;
}

hid_t driverId() {
    static const H5FD_class_t driver = driverClass();
    static const hid_t id = H5FDregister(&driver);
    return id;
}

}  // namespace

Hdf5Handle writeSetAccess(WriteSet& set) {
    Hdf5Handle access = hdf5Own(H5Pcreate(H5P_FILE_ACCESS), H5Pclose, "make", "file access list");
    const DriverInfo info{&set};
    hdf5Check(H5Pset_driver(access.id(), driverId(), &info), "use", "write set driver");
    // The format of 1.10: every block of metadata carries a checksum, and SWMR readers may follow.
    hdf5Check(H5Pset_libver_bounds(access.id(), H5F_LIBVER_V110, H5F_LIBVER_V110), "choose", "format 1.10");
    return access;
}

}  // namespace linscope
