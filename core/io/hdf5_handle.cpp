#include "core/io/hdf5_handle.h"

#include <algorithm>

#include "core/base/error.h"

namespace linscope {

namespace {

// The library's state is one per process, so its lock is too.
std::mutex& libraryMutex() {
    // A damaged file can make HDF5 complain on stderr when the program ends, about files it could not
    // close. Ours are closed by then, so it need not look.
    static const herr_t quietEnd = H5dont_atexit();
    static std::mutex mutex;
    return (void)quietEnd, mutex;
}

herr_t keepInnermost(unsigned, const H5E_error2_t* entry, void* text) {
    if (entry->desc) *static_cast<std::string*>(text) = entry->desc;
    return 0;
}

}  // namespace

Hdf5Session::Hdf5Session() : m_lock(libraryMutex()) {
    H5Eget_auto2(H5E_DEFAULT, &m_print, &m_printData);
    H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr);
}

Hdf5Session::~Hdf5Session() {
    H5Eset_auto2(H5E_DEFAULT, m_print, m_printData);
}

std::string hdf5Reason() {
    std::string text;
    H5Ewalk2(H5E_DEFAULT, H5E_WALK_DOWNWARD, keepInnermost, &text);
    H5Eclear2(H5E_DEFAULT);
    return text.empty() ? "no reason given" : text;
}

Hdf5Handle hdf5Own(hid_t id, Hdf5Handle::Close close, std::string_view what, std::string_view name) {
    if (id < 0) fail("run file", "HDF5 could not {} \"{}\": {}", what, name, hdf5Reason());
    return {id, close};
}

void hdf5Check(herr_t status, std::string_view what, std::string_view name) {
    if (status < 0) fail("run file", "HDF5 could not {} \"{}\": {}", what, name, hdf5Reason());
}

Hdf5Handle hdf5StringType(std::size_t bytes) {
    Hdf5Handle type = hdf5Own(H5Tcopy(H5T_C_S1), H5Tclose, "make", "string type");
    H5Tset_size(type.id(), std::max<std::size_t>(bytes, 1));
    H5Tset_cset(type.id(), H5T_CSET_UTF8);
    H5Tset_strpad(type.id(), H5T_STR_NULLPAD);
    return type;
}

}  // namespace linscope
