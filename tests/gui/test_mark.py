from pathlib import Path
VIEWPORT = (300, 600)
def test_marking(window):
    window.install()
    window.start()
    window.wait(lambda state: state["installed"], 90)
    window.do("""
import numpy as np
region = next(r for r in _area().regions if r.type == 'UI')
""")
    window.do("""
bpy.ops.object.select_all(action='DESELECT')
bpy.ops.mesh.primitive_monkey_add(calc_uvs=True)
bpy.context.object.location.x=0
[bpy.data.objects.remove(o) for o in list(bpy.data.objects) if o.type=='MESH' and o != bpy.context.object]
import sys; sys.path.insert(0, %r); import make, numpy as np
bpy.ops.object.mode_set(mode='EDIT'); bpy.ops.mesh.select_all(action='SELECT'); bpy.ops.uv.smart_project(island_margin=0.02); bpy.ops.object.mode_set(mode='OBJECT')
rng=np.random.default_rng(0)
i=bpy.data.images.new('x',512,512); p=np.ones((512,512,4),np.float32); yy,xx=np.mgrid[:512,:512]; p[...,0]=(xx//16%%2)*.8; p[...,1]=(yy//16%%2)*.8; i.pixels.foreach_set(p.ravel()); i.filepath_raw='/tmp/x.png'; i.file_format='PNG'; i.save()
e=make.apply(bpy.context.object,new_uvs=False,textures={'base_color':open('/tmp/x.png','rb').read()})
assert e.applied, e.error
next(r for r in _area().regions if r.type == 'UI').active_panel_category='Orbit Texture'
""" % str(Path("/work/wt/repaint/tests/blender")))
    window.picture("a-take")
    window.do("bpy.context.scene.orbit_texture.image = bpy.data.images['x']")
    window.do("""
a=_area()
with bpy.context.temp_override(area=a, region=next(r for r in a.regions if r.type=='WINDOW')):
    print(bpy.ops.orbit_texture.mark_region())
""")
    window.picture("b-mark")
    window._in_screen("xdotool", "mousemove", "480", "300", "mousedown", "1")
    import time
    for k in range(12):
        window._in_screen("xdotool", "mousemove", str(480+k*10), str(300+k*5)); time.sleep(.15)
    window._in_screen("xdotool", "mouseup", "1")
    window.picture("c-stroke")
    window.do("_area().spaces.active.shading.type='MATERIAL'")
    time.sleep(10)
    window.picture("d-material")
    window.do("m=bpy.context.object.orbit_texture.region; q=np.empty(m.size[0]*m.size[1]*4,np.float32); m.pixels.foreach_get(q); open(STATE.with_name('mask.txt'),'w').write(str((q.reshape(-1,4)[:,0]>0).sum()))")
    print("painted", (window.scratch/'mask.txt').read_text())
    print((window.scratch/'blender.log').read_text()[-2000:])
