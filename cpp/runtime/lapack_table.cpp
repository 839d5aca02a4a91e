#include "runtime/lapack_table.hpp"

#include <atomic>

namespace mmlfast {
namespace {

std::atomic<const LapackTable*> loaded{nullptr};
std::atomic<LapackLoader> installed{nullptr};

}  // namespace

void set_lapack_loader(LapackLoader loader) noexcept { installed.store(loader); }

bool lapack_loaded() noexcept { return loaded.load(std::memory_order_acquire) != nullptr; }

const LapackTable* lapack() noexcept {
  const LapackTable* table = loaded.load(std::memory_order_acquire);
  if (table != nullptr) return table;
  const LapackLoader loader = installed.load();
  if (loader != nullptr) table = loader();
  if (table == nullptr || table->version != LapackTable::current_version) return nullptr;
  loaded.store(table, std::memory_order_release);
  return table;
}

}  // namespace mmlfast
