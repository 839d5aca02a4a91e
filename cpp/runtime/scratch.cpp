#include "runtime/scratch.hpp"

#include <new>

namespace mmlfast {
namespace {

constexpr std::size_t alignment = 64;
constexpr std::ptrdiff_t kept = std::ptrdiff_t{4} << 20;

void* allocate(std::ptrdiff_t bytes) noexcept {
  return ::operator new(static_cast<std::size_t>(bytes), std::align_val_t{alignment}, std::nothrow);
}

void release(void* data) noexcept {
  if (data != nullptr) ::operator delete(data, std::align_val_t{alignment});
}

struct Buffer {
  void* data = nullptr;
  std::ptrdiff_t size = 0;

  void clear() noexcept {
    release(data);
    data = nullptr;
    size = 0;
  }
  ~Buffer() { clear(); }
};

Buffer& mine() noexcept {
  static thread_local Buffer buffer;
  return buffer;
}

}  // namespace

void* Scratch::request(std::ptrdiff_t bytes) noexcept {
  if (bytes < 0) return nullptr;
  Buffer& buffer = mine();
  if (buffer.size < bytes || buffer.data == nullptr) {
    buffer.clear();
    const std::ptrdiff_t size = bytes < 4096 ? 4096 : bytes;
    buffer.data = allocate(size);
    if (buffer.data == nullptr) return nullptr;
    buffer.size = size;
  }
  return buffer.data;
}

void Scratch::trim() noexcept {
  if (mine().size > kept) mine().clear();
}

OwnScratch::OwnScratch(std::ptrdiff_t bytes) noexcept : data_(bytes < 0 ? nullptr : allocate(bytes)) {}

OwnScratch::~OwnScratch() { release(data_); }

}  // namespace mmlfast
