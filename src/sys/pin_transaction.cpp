// SPDX-License-Identifier: GPL-2.0
#include "sys/pin_transaction.hpp"

#include <cerrno>

#include "sys/program.hpp"

namespace egress {

PinTransaction::~PinTransaction() {
  for (auto step = steps_.rbegin(); step != steps_.rend(); ++step) undo(*step);
}

void PinTransaction::undo(const Step& step) const {
  // Nothing more can be done about what fails here: the error that brought us here is told.
  if (step.kind == Kind::Update) {
    (void)link_update(step.link.get(), step.former.get());
  } else if (step.kind == Kind::Attach) {
    (void)link_detach(step.link.get());
  } else if (step.former.valid()) {
    (void)rename_over(step.former.get(), step.name);
  } else {
    (void)directory_.unlink(step.name);
  }
}

Result<void> PinTransaction::pin(int object_fd, const std::string& name) {
  Result<void> done = directory_.pin(object_fd, name);
  if (done) steps_.push_back({Kind::Pin, name, Fd(), Fd()});
  return done;
}

Result<void> PinTransaction::replace(int object_fd, const std::string& name) {
  if (!directory_.contains(name)) return pin(object_fd, name);
  Result<Fd> former = directory_.open_pin(name);
  if (Result<void> done = rename_over(object_fd, name); !done) return done;
  steps_.push_back({Kind::Pin, name, Fd(), former ? std::move(*former) : Fd()});
  return {};
}

Result<void> PinTransaction::rename_over(int object_fd, const std::string& name) const {
  const std::string fresh = name + "_new";
  if (Result<void> done = directory_.unlink(fresh); !done) return done;  // of a loader that was killed
  if (Result<void> done = directory_.pin(object_fd, fresh); !done) return done;
  return directory_.rename(fresh, name);
}

Result<void> PinTransaction::attach(Link link, const std::string& name) {
  Result<void> done = replace(link.fd(), name);
  if (done) steps_.push_back({Kind::Attach, {}, std::move(link).take_fd(), Fd()});
  return done;
}

Result<void> PinTransaction::update(Link link, int program_fd) {
  Result<LinkInfo> info = link.info();
  if (!info) return std::move(info).error();
  Result<Program> former = Program::open_id(info->program_id);
  if (!former) return std::move(former).error();
  if (Result<void> done = link.update(program_fd); !done) return done;
  steps_.push_back({Kind::Update, {}, std::move(link).take_fd(), std::move(*former).take_fd()});
  return {};
}

}  // namespace egress
