#include "runtime/blas_threads.hpp"

#include "runtime/lapack_table.hpp"
#include "runtime/locked_state.hpp"

namespace mmlfast {
namespace {

// Calls of several Python threads may overlap: the first one in sets the number, the last one out restores it.
StateLock guard;
int holders = 0, threads_before = 1;

}  // namespace

SingleBlasThread::SingleBlasThread() noexcept : held_(false) {
  const LapackTable* table = lapack();
  if (table == nullptr || table->get_blas_threads == nullptr || table->set_blas_threads == nullptr) return;
  held_ = true;
  const StateGuard lock(guard);
  if (holders++ > 0) return;
  threads_before = table->get_blas_threads();
  if (threads_before != 1) table->set_blas_threads(1);
}

SingleBlasThread::~SingleBlasThread() {
  if (!held_) return;
  const StateGuard lock(guard);
  if (--holders == 0 && threads_before != 1) lapack()->set_blas_threads(threads_before);
}

}  // namespace mmlfast
