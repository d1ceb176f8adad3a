#include "core/data/task.h"

#include "core/base/error.h"
#include "core/options/suggest.h"

namespace linscope {

const TaskInfo& findTask(std::string_view name) {
    std::vector<std::string> known;
    for (const TaskInfo& task : tasks()) {
        if (task.name == name) return task;
        known.emplace_back(task.name);
    }
    fail("task", "expected the name of a task, but found \"{}\"; {}", name, suggestion(name, known));
}

}  // namespace linscope
