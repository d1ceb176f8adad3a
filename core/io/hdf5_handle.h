#pragma once

#include <hdf5.h>

#include <mutex>
#include <string>
#include <string_view>
#include <utility>

namespace linscope {

/// The right to call HDF5, which Debian builds without thread safety: one session at a time in the whole
/// process. HDF5's own printing of errors to stderr is off while one lives.
class Hdf5Session {
public:
    Hdf5Session();
    ~Hdf5Session();
    Hdf5Session(const Hdf5Session&) = delete;
    Hdf5Session& operator=(const Hdf5Session&) = delete;

private:
    std::unique_lock<std::mutex> m_lock;
    H5E_auto2_t m_print = nullptr;
    void* m_printData = nullptr;
};

/// Owns one HDF5 identifier and closes it.
class Hdf5Handle {
public:
    using Close = herr_t (*)(hid_t);
    Hdf5Handle() = default;
    Hdf5Handle(hid_t id, Close closeWith) : m_id(id), m_close(closeWith) {}
    Hdf5Handle(Hdf5Handle&& other) noexcept
        : m_id(std::exchange(other.m_id, H5I_INVALID_HID)), m_close(other.m_close) {}
    Hdf5Handle& operator=(Hdf5Handle&& other) noexcept {
        std::swap(m_id, other.m_id);
        std::swap(m_close, other.m_close);
        return *this;
    }
    ~Hdf5Handle() { close(); }

    hid_t id() const { return m_id; }
    bool valid() const { return m_id >= 0; }
    /// Closes now; false when HDF5 could not.
    bool close() { return m_id < 0 || m_close(std::exchange(m_id, H5I_INVALID_HID)) >= 0; }

private:
    hid_t m_id = H5I_INVALID_HID;
    Close m_close = nullptr;
};

/// The innermost message of HDF5's error stack: what really went wrong.
std::string hdf5Reason();

/// Wraps `id`; throws Error `[run file] HDF5 could not WHAT "NAME": REASON` when it is not valid.
Hdf5Handle hdf5Own(hid_t id, Hdf5Handle::Close close, std::string_view what, std::string_view name);
/// Throws the same when `status` is negative.
void hdf5Check(herr_t status, std::string_view what, std::string_view name);

/// A UTF-8 string type of `bytes` bytes (at least 1), padded with zeros.
Hdf5Handle hdf5StringType(std::size_t bytes);

}  // namespace linscope
