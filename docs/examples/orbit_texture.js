// SPDX-License-Identifier: GPL-3.0-or-later
//
// A job type for Flamenco (flamenco.blender.org): textures a .blend on the farm, then exports the results.
// Put this file into the folder `scripts` beside Flamenco Manager. The workers need the extension and its backend.

const JOB_TYPE = {
    label: "Orbit Texture",
    settings: [
        { key: "references", type: "string", subtype: "dir_path", required: true,
          description: "Folder with an image per object, named like the object" },
        { key: "painter", type: "string", default: "draft", choices: ["draft", "orbitpainter", "trellis2"],
          description: "How the views are painted" },
        { key: "texture_size", type: "int32", default: 2048, description: "Width and height of the textures" },
        { key: "output", type: "string", subtype: "dir_path", required: true,
          description: "Folder for the textured .blend, the report and the GLB files" },
        { key: "blendfile", type: "string", required: true, visible: "web", description: "The .blend to texture" },
    ],
};

function compileJob(job) {
    const settings = job.settings;
    const name = path.basename(settings.blendfile).replace(/\.blend$/, "");
    const textured = path.join(settings.output, name + ".blend");

    const texture = blender("texture", settings.blendfile, [
        "texture", "--folder", settings.references, "--painter", settings.painter, "--texture-size", String(settings.texture_size),
        "--output", textured, "--report", path.join(settings.output, name + ".html"), "--json",
    ]);
    // Exports only after every object was textured, so that a failure is looked at first.
    const files = blender("export", textured, ["export", "--glb", settings.output, "--json"]);
    files.addDependency(texture);
    job.addTask(texture);
    job.addTask(files);
}

function blender(name, blendfile, args) {
    const task = author.Task(name, "blender");
    task.addCommand(author.Command("blender-render", {
        exe: "{blender}",
        exeArgs: "{blenderArgs}",
        argsBefore: [],
        blendfile: blendfile,
        args: ["--command", "orbit_texture"].concat(args),
    }));
    return task;
}
